# Writes sparse.json and versions_sparse.json: counts and what metafor's rma.mh, rma.peto and rma.glmm make of them.
# Run in this folder:  Rscript sparse.R        (about five minutes: the exact conditional fits are slow)
# Convergence is tightened throughout.

suppressMessages({library(metafor); library(jsonlite)})
num <- function(x) as.numeric(x)

sets <- list()
add <- function(name, d, ...) {
  columns <- c(...)
  d <- as.data.frame(d)
  d <- d[complete.cases(d[, columns]), columns]
  names(d) <- names(columns)
  sets[[name]] <<- as.list(d)
}
two <- c(ai = "ai", n1i = "n1i", ci = "ci", n2i = "n2i")
rates <- c(x1i = "x1i", t1i = "t1i", x2i = "x2i", t2i = "t2i")
bcg <- transform(dat.bcg, ai = tpos, n1i = tpos + tneg, ci = cpos, n2i = cpos + cneg)
add("bcg", bcg, two); add("bcg_ablat", bcg, c(two, ablat = "ablat"))
add("collins1985a", transform(dat.collins1985a, ai = b.xti, n1i = nti, ci = b.xci, n2i = nci), two)
add("collins1985b", transform(dat.collins1985b, ai = pre.xti, n1i = pre.nti, ci = pre.xci, n2i = pre.nci), two)
add("collins1985b_deaths", transform(dat.collins1985b, ai = ped.xti, n1i = fup.nti, ci = ped.xci, n2i = fup.nci), two)
add("nielweise2007", dat.nielweise2007, two)
add("yusuf1985_6", subset(dat.yusuf1985, table == "6"), two)
add("hine1989", dat.hine1989, two); add("lee2004", dat.lee2004, two); add("egger2001", dat.egger2001, two)
add("li2007", dat.li2007, two); add("linde2005", dat.linde2005, two); add("hahn2001", dat.hahn2001, two)
add("graves2010", dat.graves2010, two); add("laopaiboon2015", dat.laopaiboon2015, two); add("anand1999", dat.anand1999, two)
add("axfors2021", transform(subset(dat.axfors2021, hcq_cq == "hcq"), ai = hcq_arm_event, n1i = hcq_arm_total,
  ci = control_arm_event, n2i = control_arm_total), two)
add("nielweise2008", dat.nielweise2008, rates); add("hart1999", dat.hart1999, rates)
# Rothman, Greenland & Lash 2008, Tables 15-1 (age strata, tolbutamide) and 15-2 (age strata, clozapine, person-years)
add("rothman2008_risk", data.frame(ai = c(8, 22), n1i = c(106, 98), ci = c(5, 16), n2i = c(120, 85)), two)
add("rothman2008_rate", data.frame(x1i = c(196, 167), t1i = c(62119, 6085), x2i = c(111, 157), t2i = c(15763, 2780)), rates)
add("pritz1997", dat.pritz1997, c(xi = "xi", ni = "ni")); add("debruin2009", dat.debruin2009, c(xi = "xi", ni = "ni"))
add("hannum2020", dat.hannum2020, c(xi = "xi", ni = "ni"))
add("nielweise2007_treated", transform(dat.nielweise2007, xi = ai, ni = n1i), c(xi = "xi", ni = "ni"))
add("nielweise2007_control", transform(dat.nielweise2007, xi = ci, ni = n2i), c(xi = "xi", ni = "ni"))
add("nielweise2008_treated", transform(dat.nielweise2008, xi = x1i, ti = t1i), c(xi = "xi", ti = "ti"))
add("nielweise2008_control", transform(dat.nielweise2008, xi = x2i, ti = t2i), c(xi = "xi", ti = "ti"))
add("hart1999_treated", transform(dat.hart1999, xi = x1i, ti = t1i), c(xi = "xi", ti = "ti"))
add("hart1999_control", transform(dat.hart1999, xi = x2i, ti = t2i), c(xi = "xi", ti = "ti"))

coefficients <- function(r) list(beta = num(r$beta), se = num(r$se), zval = num(r$zval), pval = num(r$pval),
  ci_lb = num(r$ci.lb), ci_ub = num(r$ci.ub))
strata <- list()
for (name in names(sets)) {
  measures <- if (!is.null(sets[[name]]$ai)) c("OR", "RR", "RD") else if (!is.null(sets[[name]]$x1i)) c("IRR", "IRD") else NULL
  if (name == "bcg_ablat") next
  for (m in measures) {
    r <- suppressWarnings(do.call(rma.mh, c(list(measure = m), sets[[name]])))
    value <- function(x) if (is.null(x)) NA else num(x)
    strata[[length(strata) + 1]] <- c(list(set = name, method = "MH", measure = m), coefficients(r), list(
      QE = num(r$QE), QEp = num(r$QEp), QE_df = r$k.yi - 1, k = r$k, CMH = value(r$MH), CMHp = value(r$MHp), BD = value(r$BD),
      BDp = value(r$BDp), TA = value(r$TA), TAp = value(r$TAp)))
  }
  if ("OR" %in% measures) {
    r <- suppressWarnings(do.call(rma.peto, sets[[name]]))
    strata[[length(strata) + 1]] <- c(list(set = name, method = "PETO", measure = "OR"), coefficients(r),
      list(QE = num(r$QE), QEp = num(r$QEp), k = r$k))
  }
}

mixed <- list()
glmm <- function(name, measure, model = NULL, method = "ML", mods = NULL, nAGQ = 60, coding = 1/2) {
  d <- sets[[name]]
  # from tightest to default, until one converges
  tight <- function(pwrss, exact) c(list(dnchgcalc = "dnoncenhypergeom", dnchgprec = 1e-14,
    glmerCtrl = list(optimizer = "bobyqa", tolPwrss = pwrss, optCtrl = list(rhobeg = .01, rhoend = 1e-10, maxfun = 1e6)),
    optCtrl = list(rel.tol = exact, iter.max = 1000, eval.max = 5000), intCtrl = list(rel.tol = 1e-10, subdivisions = 1000)),
    if (is.null(mods)) list(glmCtrl = list(epsilon = 1e-14, maxit = 1000))) # with moderators glm's saturated fit breaks under it
  r <- NULL
  for (control in list(tight(1e-13, 1e-11), tight(1e-10, 1e-10), tight(1e-9, 1e-9), tight(1e-7, 1e-8))) {
    arguments <- c(list(measure = measure, method = method, nAGQ = nAGQ, coding = coding, control = control), d[setdiff(names(d), "ablat")])
    if (!is.null(model)) arguments$model <- model
    if (!is.null(mods)) arguments$mods <- d[[mods]]
    seconds <- system.time(r <- tryCatch(suppressMessages(suppressWarnings(do.call(rma.glmm, arguments))), error = function(e) {
      cat("no fit:", name, measure, model, method, conditionMessage(e), "\n"); NULL }))
    if (!is.null(r)) break
  }
  if (is.null(r)) return(invisible())
  cat(name, measure, model, method, format(num(r$beta), digits = 6), format(r$tau2, digits = 6), sum(seconds[1:2]), "\n")
  value <- function(x) if (is.null(x)) NA else num(x)
  mixed[[length(mixed) + 1]] <<- c(list(set = name, measure = measure, model = if (is.null(model)) NA else model, method = method,
    mods = if (is.null(mods)) NA else mods, nAGQ = nAGQ, coding = coding, cpu = sum(seconds[1:2])), coefficients(r),
    list(tau2 = num(r$tau2), sigma2 = value(r$sigma2), ll = num(logLik(r)), QE_Wld = value(r$QE.Wld), QE_LRT = value(r$QE.LRT),
      QE_df = value(r$QE.df), QM = value(r$QM), I2 = value(r$I2), H2 = value(r$H2), k = r$k))
}
binomial <- c("nielweise2007", "bcg", "hine1989", "collins1985b_deaths", "lee2004", "yusuf1985_6", "egger2001", "laopaiboon2015")
for (name in binomial) for (method in c("EE", "ML")) {
  glmm(name, "OR", "UM.FS", method); glmm(name, "OR", "CM.AL", method)
}
for (name in c("nielweise2007", "hine1989", "collins1985b_deaths", "lee2004")) for (method in c("EE", "ML")) glmm(name, "OR", "UM.RS", method, nAGQ = if (method == "EE") 60 else 1)
glmm("nielweise2007", "OR", "UM.FS", coding = 1); glmm("hine1989", "OR", "UM.FS", coding = 0)
glmm("bcg_ablat", "OR", "UM.FS", mods = "ablat"); glmm("bcg_ablat", "OR", "CM.AL", mods = "ablat")
for (name in c("nielweise2008", "hart1999")) for (method in c("EE", "ML")) {
  glmm(name, "IRR", "UM.FS", method); glmm(name, "IRR", "CM.EL", method)
}
for (name in c("pritz1997", "debruin2009", "hannum2020", "nielweise2007_treated", "nielweise2007_control")) for (method in c("EE", "ML")) glmm(name, "PLO", NULL, method)
for (name in c("nielweise2008_treated", "nielweise2008_control", "hart1999_treated", "hart1999_control")) for (method in c("EE", "ML")) glmm(name, "IRLN", NULL, method)
for (name in c("nielweise2007", "hine1989", "lee2004", "collins1985a")) for (method in c("EE", "ML")) glmm(name, "OR", "CM.EL", method)
glmm("yusuf1985_6", "OR", "CM.EL", "EE") # with random effects its optimiser does not converge within half an hour

# Beta-binomial models have no function in metafor: VGAM fits them (one proportion; two arms, logit link, common rho)
suppressMessages(library(VGAM))
beta <- list()
betabinomial_fit <- function(name, x, n, X) {
  d <- data.frame(x = x, others = n - x, arm = X[, ncol(X)])
  v <- vglm(if (ncol(X) == 1) cbind(x, others) ~ 1 else cbind(x, others) ~ arm, betabinomial(zero = 2), data = d,
    control = vglm.control(epsilon = 1e-12, maxit = 1000))
  co <- coef(v); p <- length(co) - 1
  b <- c(co[1], if (p > 1) co[3:(p + 1)])
  negative <- function(par) { # the log-likelihood written out, to tighten the answer and for an observed-information matrix
    m <- plogis(drop(X %*% par[1:p])); s <- exp(-par[p + 1])  # s = (1 - rho) / rho
    -sum(lchoose(n, x) + lbeta(x + m * s, n - x + (1 - m) * s) - lbeta(m * s, (1 - m) * s))
  }
  start <- c(b, co[2])
  o <- nlm(negative, start, gradtol = 1e-12, steptol = 1e-12, iterlim = 1000)
  h <- numDeriv::hessian(negative, o$estimate)
  cat(name, "beta-binomial", o$estimate, "VGAM", start, "\n")
  beta[[length(beta) + 1]] <<- list(set = name, X = X, beta = num(o$estimate[1:p]), rho = num(plogis(o$estimate[p + 1])),
    se = sqrt(diag(solve(h)))[1:p], ll = -o$minimum, vgam = num(start), vgam_ll = num(logLik(v)))
}
for (name in c("pritz1997", "debruin2009", "hannum2020", "nielweise2007_control"))
  betabinomial_fit(name, sets[[name]]$xi, sets[[name]]$ni, matrix(1, length(sets[[name]]$xi), 1))
for (name in c("nielweise2007", "lee2004", "laopaiboon2015")) {
  d <- sets[[name]]; k <- length(d$ai)
  betabinomial_fit(name, c(d$ai, d$ci), c(d$n1i, d$n2i), cbind(rep(1, 2 * k), rep(1:0, each = k)))
}

write(toJSON(list(sets = sets, strata = strata, mixed = mixed, beta_binomial = beta), digits = I(17), auto_unbox = TRUE, na = "null"), "sparse.json")
version <- function(p) as.character(packageVersion(p))
write(toJSON(list(R = R.version.string, metafor = version("metafor"), metadat = version("metadat"), lme4 = version("lme4"),
  VGAM = version("VGAM"), jsonlite = version("jsonlite")), auto_unbox = TRUE, pretty = TRUE), "versions_sparse.json")
