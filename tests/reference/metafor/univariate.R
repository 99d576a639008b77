# Writes univariate.json and versions.json: data sets and what metafor answers for them.
# Run in this folder:  Rscript univariate.R
# Convergence is tightened throughout: by default metafor stops REML at a change of 1e-5 in tau2.

suppressMessages({library(metafor); library(jsonlite)})
# The limits are absolute, so they are set relative to the sampling variances.
tight <- function(vi) list(threshold = 1e-12 * median(vi), maxiter = 10000, tol = 1e-13 * median(vi),
                           tau2.max = 1e6 * max(1, median(vi)))

sets <- list()
add <- function(name, es, mods = NULL) {
  es <- as.data.frame(es)
  keep <- !is.na(es$yi) & !is.na(es$vi)
  if (!is.null(mods)) {
    X <- model.matrix(mods, model.frame(mods, es, na.action = na.pass))
    keep <- keep & complete.cases(X)
    X <- X[keep, , drop = FALSE]
  } else {
    X <- matrix(1, sum(keep), 1, dimnames = list(NULL, "intrcpt"))
  }
  # 12 digits, so that the stored input is what was fitted
  sets[[name]] <<- list(yi = signif(as.numeric(es$yi[keep]), 12), vi = signif(as.numeric(es$vi[keep]), 12), X = X)
}

bcg <- function(m) escalc(m, ai = tpos, bi = tneg, ci = cpos, di = cneg, data = dat.bcg)
add("bcg_rr", bcg("RR")); add("bcg_or", bcg("OR")); add("bcg_rd", bcg("RD"))
add("bcg_rr_ablat", bcg("RR"), ~ ablat); add("bcg_rr_ablat_year", bcg("RR"), ~ ablat + year)
add("bcg_rr_alloc", bcg("RR"), ~ alloc); add("bcg_rr_alloc_means", bcg("RR"), ~ 0 + alloc)
add("raudenbush1985", dat.raudenbush1985); add("raudenbush1985_weeks", dat.raudenbush1985, ~ weeks)
add("raudenbush1985_setting_tester", dat.raudenbush1985, ~ setting + tester)
normand <- function(m) escalc(m, m1i = m1i, sd1i = sd1i, n1i = n1i, m2i = m2i, sd2i = sd2i, n2i = n2i, data = dat.normand1999)
add("normand1999_md", normand("MD")); add("normand1999_smd", normand("SMD"))
pooled <- escalc("MD", m1i = m1i, sd1i = sd1i, n1i = n1i, m2i = m2i, sd2i = sd2i, n2i = n2i, data = dat.normand1999, vtype = "HO")
add("normand1999_md_pooled_sd", pooled)
add("hine1989_rd", escalc("RD", ai = ai, n1i = n1i, ci = ci, n2i = n2i, data = dat.hine1989))
add("collins1985b_or", escalc("OR", ai = pre.xti, n1i = pre.nti, ci = pre.xci, n2i = pre.nci, data = dat.collins1985b))
add("lee2004_or", escalc("OR", ai = ai, n1i = n1i, ci = ci, n2i = n2i, data = dat.lee2004))
add("linde2005_rr", escalc("RR", ai = ai, n1i = n1i, ci = ci, n2i = n2i, data = dat.linde2005))
add("hackshaw1998", dat.hackshaw1998); add("hackshaw1998_design", dat.hackshaw1998, ~ design)
add("li2007_or", escalc("OR", ai = ai, n1i = n1i, ci = ci, n2i = n2i, data = dat.li2007))
add("egger2001_or", escalc("OR", ai = ai, n1i = n1i, ci = ci, n2i = n2i, data = dat.egger2001))
curtis <- escalc("ROM", m1i = m1i, sd1i = sd1i, n1i = n1i, m2i = m2i, sd2i = sd2i, n2i = n2i, data = dat.curtis1998)
add("curtis1998_rom", curtis); add("curtis1998_rom_time", curtis, ~ time)
add("bangertdrowns2004", dat.bangertdrowns2004)
add("bangertdrowns2004_length", dat.bangertdrowns2004, ~ length)
add("bangertdrowns2004_four", dat.bangertdrowns2004, ~ length + wic + feedback + info)
add("molloy2014_zcor", escalc("ZCOR", ri = ri, ni = ni, data = dat.molloy2014))
add("mcdaniel1994_zcor_struct", escalc("ZCOR", ri = ri, ni = ni, data = dat.mcdaniel1994), ~ struct)
add("cohen1981_zcor", escalc("ZCOR", ri = ri, ni = ni, data = dat.cohen1981))
add("gibson2002_smd", escalc("SMD", m1i = m1i, sd1i = sd1i, n1i = n1i, m2i = m2i, sd2i = sd2i, n2i = n2i, data = dat.gibson2002))
add("bonett2010_abt", escalc("ABT", ai = ai, mi = mi, ni = ni, data = dat.bonett2010))
add("pritz1997_logit", escalc("PLO", xi = xi, ni = ni, data = dat.pritz1997))
add("yusuf1985_or", escalc("OR", ai = ai, n1i = n1i, ci = ci, n2i = n2i, data = dat.yusuf1985))
add("colditz1994_or", escalc("OR", ai = tpos, bi = tneg, ci = cpos, di = cneg, data = dat.colditz1994), ~ ablat)
add("viechtbauer2021_or", escalc("OR", ai = xTi, n1i = nTi, ci = xCi, n2i = nCi, data = dat.viechtbauer2021), ~ dose)

set.seed(20240501)
random <- function(name, k, tau, low, high, moderators = 0, decimals = 6) {
  vi <- signif(10^runif(k, low, high), decimals)
  X <- cbind(intrcpt = 1, matrix(round(rnorm(k * moderators), 4), k, moderators))
  if (moderators > 0) colnames(X)[-1] <- paste0("x", 1:moderators)
  yi <- round(as.numeric(0.3 + X[, -1, drop = FALSE] %*% rep(0.2, moderators) + rnorm(k, 0, sqrt(vi + tau^2))), decimals)
  sets[[name]] <<- list(yi = yi, vi = vi, X = X)
}
random("random_k2", 2, .5, -2, -1); random("random_k3", 3, .2, -2, -1)
random("random_k5_homogeneous", 5, 0, -1, 0); random("random_k20", 20, .4, -2, -0.7)
random("random_k20_mod", 20, .3, -2, -0.7, 1); random("random_k60_three", 60, .3, -2, -0.7, 3)
random("random_k200", 200, .5, -3, 0); random("random_six_orders", 40, .5, -5, 1)
random("random_large_effects", 25, 300, 2, 5); random("random_small_effects", 25, 1e-4, -10, -7, decimals = 12)

fit <- function(d, method, test) {
  for (step in c(1, .5, .25)) {
    r <- tryCatch(suppressWarnings(rma(d$yi, d$vi, mods = d$X, intercept = FALSE, method = method, test = test,
                                       control = c(tight(d$vi), stepadj = step))), error = function(e) NULL)
    if (!is.null(r)) return(r)
  }
  NULL
}
num <- function(x) as.numeric(x)
answers <- list()
for (name in names(sets)) {
  d <- sets[[name]]
  fits <- list(); profile <- NULL
  for (method in c("REML", "ML", "DL", "PM", "EE")) for (test in c("z", "t", "knha")) {
    if (test == "t" && method != "REML") next
    r <- fit(d, method, test)
    if (is.null(r)) { cat("no fit:", name, method, test, "\n"); next }
    if (method == "REML" && test == "z") {
      profile <- suppressMessages(num(confint(r, control = tight(d$vi))$random[1, 2:3]))
    }
    p <- lapply(unclass(suppressWarnings(predict(r)))[c("pred", "se", "pi.lb", "pi.ub")], function(x) x[1])
    answer <- list(method = method, test = test, beta = num(r$beta), se = r$se, zval = num(r$zval), pval = num(r$pval),
      ci_lb = num(r$ci.lb), ci_ub = num(r$ci.ub), tau2 = r$tau2, se_tau2 = num(r$se.tau2), I2 = r$I2, H2 = r$H2,
      QE = r$QE, QEp = r$QEp, QM = num(r$QM), QMp = num(r$QMp), QM_df = num(r$QMdf[1]), ll = num(logLik(r)),
      predict = list(pred = num(p$pred), se = num(p$se), pi_lb = num(p$pi.lb), pi_ub = num(p$pi.ub)))
    if (test == "z") answer$weights <- num(weights(r))
    fits[[length(fits) + 1]] <- answer
  }
  answers[[name]] <- list(yi = d$yi, vi = d$vi, names = colnames(d$X), X = unname(d$X), tau2_ci = profile, fits = fits)
}

loo <- list()
for (name in c("bcg_rr", "raudenbush1985", "random_k5_homogeneous")) for (test in c("z", "knha")) {
  d <- sets[[name]]
  r <- rma(d$yi, d$vi, method = "REML", test = test, control = tight(d$vi))
  l <- leave1out(r)
  loo[[length(loo) + 1]] <- list(set = name, test = test, beta = l$estimate, se = l$se, pval = l$pval, ci_lb = l$ci.lb,
    ci_ub = l$ci.ub, tau2 = l$tau2, I2 = l$I2, H2 = l$H2, QE = l$Q, QEp = l$Qp)
}

write(toJSON(list(sets = answers, leave_one_out = loo), digits = I(17), auto_unbox = TRUE, na = "null"), "univariate.json")
write(toJSON(list(R = R.version.string, metafor = as.character(packageVersion("metafor")),
  metadat = as.character(packageVersion("metadat")), jsonlite = as.character(packageVersion("jsonlite"))),
  auto_unbox = TRUE, pretty = TRUE), "versions.json")
