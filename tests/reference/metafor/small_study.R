# Writes small_study.json and versions_small_study.json: funnel tests, trim and fill, step selection models,
# fail-safe N and excess significance as metafor computes them.  Run in this folder:  Rscript small_study.R
# Rscript small_study.R smooth  writes smooth_selection.json, the other selection models; it takes some ten minutes.
# Convergence is tightened throughout. Selection models: metafor maximises with numerical derivatives, so its
# optimiser is started again from where it stopped until the log-likelihood no longer rises.

suppressMessages({library(metafor); library(jsonlite)})
tight <- function(vi) list(threshold = 1e-12 * median(vi), maxiter = 10000, tol = 1e-13 * median(vi),
                           tau2.max = 1e6 * max(1, median(vi)))
smooth <- identical(commandArgs(TRUE), "smooth")
num <- function(x) as.numeric(x)

sets <- list()
add <- function(name, es, mods = NULL, ni = attr(es$yi, "ni")) {
  es <- as.data.frame(es)
  keep <- !is.na(es$yi) & !is.na(es$vi)
  if (is.null(ni)) ni <- rep(NA, nrow(es))
  X <- NULL
  if (!is.null(mods)) {
    X <- model.matrix(mods, model.frame(mods, es, na.action = na.pass))
    keep <- keep & complete.cases(X)
    X <- X[keep, , drop = FALSE]
  }
  sets[[name]] <<- list(yi = signif(num(es$yi[keep]), 12), vi = signif(num(es$vi[keep]), 12),
                        ni = num(ni)[keep], X = X)
}
two <- function(m, data) escalc(m, ai = ai, n1i = n1i, ci = ci, n2i = n2i, data = data)
bcg <- escalc("RR", ai = tpos, bi = tneg, ci = cpos, di = cneg, data = dat.bcg)
add("bcg", bcg); add("bcg_ablat", bcg, ~ ablat)
add("egger2001", two("OR", dat.egger2001)); add("egger2001_without_isis4", escalc("OR", ai = ai, n1i = n1i, ci = ci,
  n2i = n2i, data = dat.egger2001, subset = -16))
add("hackshaw1998", dat.hackshaw1998); add("raudenbush1985", dat.raudenbush1985)
add("raudenbush1985_weeks", dat.raudenbush1985, ~ weeks)
dat.baskerville2012$yi <- dat.baskerville2012$smd; dat.baskerville2012$vi <- dat.baskerville2012$se^2
add("baskerville2012", dat.baskerville2012); add("baskerville2012_blind", dat.baskerville2012, ~ blind)
add("cohen1981", escalc("ZCOR", ri = ri, ni = ni, data = dat.cohen1981))
add("hahn2001", escalc("OR", ai = ai, n1i = n1i, ci = ci, n2i = n2i, data = dat.hahn2001, drop00 = TRUE))
add("dorn2007", escalc("RR", ai = x.a, n1i = n.a, ci = x.p, n2i = n.p, data = dat.dorn2007))
add("li2007", two("OR", dat.li2007)); add("linde2005", two("RR", dat.linde2005))
add("normand1999", escalc("SMD", m1i = m1i, sd1i = sd1i, n1i = n1i, m2i = m2i, sd2i = sd2i, n2i = n2i, data = dat.normand1999))
add("bangertdrowns2004", dat.bangertdrowns2004)
add("curtis1998", escalc("ROM", m1i = m1i, sd1i = sd1i, n1i = n1i, m2i = m2i, sd2i = sd2i, n2i = n2i, data = dat.curtis1998))
add("molloy2014", escalc("ZCOR", ri = ri, ni = ni, data = dat.molloy2014))
add("mcdaniel1994", escalc("ZCOR", ri = ri, ni = ni, data = dat.mcdaniel1994))

fit <- function(d, method, test = "z") {
  args <- list(d$yi, d$vi, method = method, test = test)
  if (!is.null(d$X)) args <- c(args, list(mods = d$X, intercept = FALSE))
  if (!all(is.na(d$ni))) args$ni <- d$ni
  for (step in c(1, .5, .25)) {
    r <- tryCatch(suppressWarnings(do.call(rma, c(args, list(control = c(tight(d$vi), stepadj = step))))), error = function(e) NULL)
    if (!is.null(r)) return(r)
  }
  stop("no fit")
}

regressions <- list()
if (!smooth) for (name in names(sets)) {
  d <- sets[[name]]
  for (model in c("lm", "rma")) for (method in if (model == "lm") "REML" else c("REML", "EE", "DL"))
    for (predictor in c("sei", "vi", "ni", "ninv", "sqrtni", "sqrtninv")) for (test in if (model == "rma" && method == "REML" && predictor == "sei") c("z", "knha") else "z") {
      if (all(is.na(d$ni)) && !(predictor %in% c("sei", "vi"))) next
      r <- fit(d, method, test)
      t <- tryCatch(suppressWarnings(regtest(r, model = model, predictor = predictor)), error = function(e) NULL)
      if (is.null(t)) { cat("no regtest", name, model, method, predictor, "\n"); next }
      regressions[[length(regressions) + 1]] <- list(set = name, model = model, method = method, predictor = predictor,
        test = test, zval = num(t$zval), pval = num(t$pval), dfs = num(t$dfs), est = num(t$est), ci_lb = num(t$ci.lb),
        ci_ub = num(t$ci.ub))
    }
}
cat("regressions", length(regressions), "\n")

ranks <- list(); fills <- list(); fsns <- list(); excess <- list()
plain <- names(sets)[sapply(sets, function(d) is.null(d$X))]
if (!smooth) for (name in plain) {
  d <- sets[[name]]
  t <- suppressWarnings(ranktest(d$yi, d$vi))
  ranks[[length(ranks) + 1]] <- list(set = name, tau = num(t$tau), pval = num(t$pval))
  for (method in c("REML", "DL", "EE")) for (estimator in c("L0", "R0", "Q0")) for (side in c("auto", "left", "right")) {
    r <- fit(d, method)
    t <- tryCatch(suppressWarnings(if (side == "auto") trimfill(r, estimator = estimator) else trimfill(r, side = side, estimator = estimator)),
                  error = function(e) { cat(name, method, estimator, side, conditionMessage(e), "\n"); NULL })
    if (is.null(t)) next
    fills[[length(fills) + 1]] <- list(set = name, method = method, estimator = estimator, side = side, found_side = t$side,
      k0 = num(t$k0), se_k0 = num(t$se.k0), p_k0 = num(t$p.k0), beta = num(t$beta), se = num(t$se), tau2 = num(t$tau2),
      yi = num(t$yi[t$fill]), vi = num(t$vi[t$fill]))
  }
  mean0 <- mean(d$yi)
  for (call in list(list("Rosenthal", .05, NA, FALSE), list("Rosenthal", .01, NA, FALSE), list("Orwin", .05, mean0 / 3.3, FALSE),
                    list("Orwin", .05, mean0 / 4.4, TRUE), list("Rosenberg", .05, NA, FALSE), list("Rosenberg", .01, NA, FALSE))) {
    f <- if (call[[1]] == "Orwin") fsn(d$yi, d$vi, type = "Orwin", target = call[[3]], weighted = call[[4]]) else
      fsn(d$yi, d$vi, type = call[[1]], alpha = call[[2]])
    fsns[[length(fsns) + 1]] <- list(set = name, type = call[[1]], alpha = call[[2]], target = num(f$target), weighted = call[[4]],
      fsnum = num(f$fsnum), pval = num(f$pval), meanes = num(f$meanes))
  }
  for (call in list(list("chi2", "greater", "two.sided", 0), list("chi2", "two.sided", "two.sided", 0), list("binom", "greater", "two.sided", 0),
                    list("exact", "greater", "two.sided", 0), list("chi2", "less", "greater", 0), list("chi2", "greater", "two.sided", .02),
                    list("chi2", "greater", "less", 0))) {
    if (call[[1]] == "exact" && length(d$yi) > 17) next
    t <- tryCatch(suppressWarnings(tes(d$yi, d$vi, test = call[[1]], tes.alternative = call[[2]], alternative = call[[3]], tau2 = call[[4]],
                  progbar = FALSE)), error = function(e) { cat(name, "tes", conditionMessage(e), "\n"); NULL })
    if (is.null(t)) next
    excess[[length(excess) + 1]] <- list(set = name, test = call[[1]], tes_alternative = call[[2]], alternative = call[[3]], tau2 = call[[4]],
      O = num(t$O), E = num(t$E), X2 = num(t$X2), pval = num(t$pval), theta = num(t$theta), theta_lim = num(t$theta.lim[1]), power = num(t$power))
  }
}
cat("fills", length(fills), "fsn", length(fsns), "tes", length(excess), "\n")

models <- list()
select <- function(name, type, alternative = "greater", steps, delta, prec, method = "ML", profile) {
  d <- sets[[name]]
  r <- fit(d, method)
  args <- list(r, type = type, alternative = alternative)
  if (!missing(steps)) args$steps <- steps
  if (!missing(delta)) args$delta <- delta
  if (!missing(prec)) args$prec <- prec
  control <- list(reltol = 1e-12, maxit = 1000, intCtrl = list(rel.tol = 1e-9, subdivisions = 2000))
  started <- proc.time()[1]
  best <- NULL
  for (i in 1:(if (type == "stepfun") 4 else 2)) {
    if (!is.null(best)) {
      control$optimizer <- "Nelder-Mead"
      control$reltol <- 1e-16
      control$maxit <- 10000
      control$beta.init <- num(best$beta)
      if (method != "EE") control$tau2.init <- max(num(best$tau2), 1e-8)
      control$delta.init <- num(best$delta)
    }
    s <- tryCatch(suppressWarnings(do.call(selmodel, c(args, list(control = control)))), error = function(e) { cat(name, type, conditionMessage(e), "\n"); NULL })
    if (is.null(s)) break
    rise <- if (is.null(best)) Inf else num(logLik(s)) - num(logLik(best))
    if (rise >= 0) best <- s
    if (rise < 1e-10) break
  }
  cat(name, type, alternative, proc.time()[1] - started, "s\n")
  if (is.null(best)) return(invisible())
  s <- best
  ends <- NULL
  if (!missing(profile) && profile) {
    parts <- suppressWarnings(confint(s, control = list(tol = 1e-10)))
    ends <- unname(lapply(parts[names(parts) == ""], function(x) num(x$random[1, 2:3])))
  }
  models[[length(models) + 1]] <<- list(set = name, type = type, alternative = alternative, method = method,
    steps = if (missing(steps)) NULL else I(steps), fixed = if (missing(delta)) NULL else I(delta), prec = if (missing(prec)) NULL else prec,
    beta = I(num(s$beta)), se = I(num(s$se)), zval = I(num(s$zval)), pval = I(num(s$pval)), ci_lb = I(num(s$ci.lb)), ci_ub = I(num(s$ci.ub)),
    tau2 = num(s$tau2), se_tau2 = num(s$se.tau2), delta = I(num(s$delta)), se_delta = I(num(s$se.delta)), ci_lb_delta = I(num(s$ci.lb.delta)),
    ci_ub_delta = I(num(s$ci.ub.delta)), ll = num(logLik(s)), LRT = num(s$LRT), LRTdf = num(s$LRTdf), LRTp = num(s$LRTp),
    LRT_tau2 = num(s$LRT.tau2), LRTp_tau2 = num(s$LRTp.tau2), profile = ends)
}
if (!smooth) {
  select("hackshaw1998", "stepfun", steps = c(.05, .10, .50, 1)); select("hackshaw1998", "stepfun", steps = .025, profile = TRUE)
  select("hackshaw1998", "stepfun", "two.sided", steps = c(.1, .5)); select("hackshaw1998", "stepfun", steps = .025, method = "EE")
  for (name in c("bcg", "raudenbush1985", "baskerville2012", "cohen1981", "li2007", "linde2005", "normand1999", "bangertdrowns2004", "curtis1998",
                 "molloy2014", "mcdaniel1994", "egger2001", "hahn2001", "dorn2007")) {
    less <- mean(sets[[name]]$yi) < 0
    select(name, "stepfun", if (less) "less" else "greater", steps = .025)
    select(name, "stepfun", if (less) "less" else "greater", steps = c(.025, .5))
    select(name, "stepfun", "two.sided", steps = .05)
  }
  select("baskerville2012_blind", "stepfun", steps = .025); select("raudenbush1985_weeks", "stepfun", steps = c(.1, .5)); select("bcg_ablat", "stepfun", "less", steps = .025)
  tab <- data.frame(steps = c(0.005, 0.01, 0.05, 0.10, 0.25, 0.35, 0.50, 0.65, 0.75, 0.90, 0.95, 0.99, 0.995, 1),
    a = c(1, 0.99, 0.95, 0.80, 0.75, 0.65, 0.60, 0.55, 0.50, 0.50, 0.50, 0.50, 0.50, 0.50),
    b = c(1, 0.99, 0.90, 0.75, 0.60, 0.50, 0.40, 0.35, 0.30, 0.25, 0.10, 0.10, 0.10, 0.10),
    c = c(1, 0.99, 0.95, 0.90, 0.80, 0.75, 0.60, 0.60, 0.75, 0.80, 0.90, 0.95, 0.99, 1.00),
    d = c(1, 0.99, 0.90, 0.75, 0.60, 0.50, 0.25, 0.25, 0.50, 0.60, 0.75, 0.90, 0.99, 1.00))
  for (column in 2:5) select("cohen1981", "stepfun", steps = tab$steps, delta = tab[[column]])
  select("hackshaw1998", "stepfun", steps = c(.05, .5, 1), delta = c(1, NA, .4))
}
if (smooth) {
  select("baskerville2012", "beta"); select("hackshaw1998", "beta"); select("bcg", "beta", "less"); select("raudenbush1985", "beta")
  select("cohen1981", "beta"); select("hackshaw1998", "beta", "two.sided"); select("baskerville2012_blind", "beta"); select("baskerville2012", "beta", delta = c(.5, NA))
  for (type in c("halfnorm", "negexp", "logistic", "power")) {
    select("hahn2001", type, "less", method = "EE"); select("hackshaw1998", type); select("hackshaw1998", type, prec = "sei")
    select("baskerville2012", type, steps = .05)
  }
  select("hackshaw1998", "negexp", "two.sided"); select("egger2001", "halfnorm", "less", prec = "sqrtninv")
}
write(toJSON(list(sets = lapply(sets, function(d) list(yi = d$yi, vi = d$vi, ni = d$ni, X = if (is.null(d$X)) NULL else unname(d$X))),
  regtest = regressions, ranktest = ranks, trimfill = fills, fsn = fsns, tes = excess, selmodel = models),
  digits = I(17), auto_unbox = TRUE, na = "null", null = "null"), if (smooth) "smooth_selection.json" else "small_study.json")
write(toJSON(list(R = R.version.string, metafor = as.character(packageVersion("metafor")),
  metadat = as.character(packageVersion("metadat")), jsonlite = as.character(packageVersion("jsonlite"))),
  auto_unbox = TRUE, pretty = TRUE), "versions_small_study.json")
