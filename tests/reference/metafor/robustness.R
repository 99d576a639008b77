# Writes robustness.json and versions_robustness.json: estimators of tau2, influence, GOSH, permutation, location-scale
# and contrasts as metafor answers them, for the data sets stored in univariate.json.
# Run in this folder:  Rscript robustness.R
# Convergence is tightened throughout; limits are absolute, so they are set relative to the sampling variances.

suppressMessages({library(metafor); library(jsonlite)})
stored <- fromJSON("univariate.json")$sets
tight <- function(vi) list(threshold = 1e-12 * median(vi), maxiter = 10000, tol = 1e-13 * median(vi),
                           tau2.max = 1e6 * max(1, median(vi)))
num <- function(x) as.numeric(x)
model <- function(d, ...) suppressWarnings(rma(d$yi, d$vi, mods = d$X, intercept = FALSE, control = tight(d$vi), ...))
try_fit <- function(d, ...) tryCatch(model(d, ...), error = function(e) NULL)
names_of <- c("bcg_rr", "bcg_or", "bcg_rd", "bcg_rr_ablat", "bcg_rr_ablat_year", "bcg_rr_alloc", "raudenbush1985",
  "raudenbush1985_weeks", "raudenbush1985_setting_tester", "normand1999_smd", "hine1989_rd", "collins1985b_or", "lee2004_or",
  "linde2005_rr", "hackshaw1998", "hackshaw1998_design", "li2007_or", "egger2001_or", "curtis1998_rom_time",
  "bangertdrowns2004", "bangertdrowns2004_length", "bangertdrowns2004_four", "molloy2014_zcor", "mcdaniel1994_zcor_struct",
  "cohen1981_zcor", "gibson2002_smd", "bonett2010_abt", "pritz1997_logit", "yusuf1985_or", "colditz1994_or",
  "viechtbauer2021_or", "random_k3", "random_k20_mod", "random_k60_three", "random_six_orders")
names_of <- intersect(names_of, names(stored))

estimators <- list()
for (name in names_of) {
  d <- stored[[name]]
  fits <- list()
  for (method in c("HE", "HS", "HSk", "SJ", "EB", "PMM", "GENQ")) {
    r <- if (method == "GENQ") try_fit(d, method = method, weights = 1 / sqrt(d$vi)) else try_fit(d, method = method)
    if (is.null(r)) { cat("no fit:", name, method, "\n"); next }
    fits[[method]] <- list(tau2 = r$tau2, se_tau2 = num(r$se.tau2), beta = num(r$beta), se = r$se, I2 = r$I2, H2 = r$H2,
      QM = num(r$QM), ll = num(logLik(r)))
  }
  likelihood <- list()
  for (method in c("REML", "ML")) {
    r <- try_fit(d, method = method)
    if (is.null(r)) next
    pl <- tryCatch(suppressMessages(num(suppressWarnings(confint(r, type = "PL", control = list(tol = 1e-12 * median(d$vi))))$random[1, 2:3])),
                   error = function(e) NULL)
    likelihood[[method]] <- list(pl = pl, AIC = AIC(r), BIC = BIC(r), AICc = AIC(r, correct = TRUE))
  }
  adhoc <- try_fit(d, test = "adhoc")
  weighted <- try_fit(d, weights = sqrt(1 / d$vi), test = "knha")
  entry <- list(fits = fits, likelihood = likelihood)
  if (!is.null(adhoc)) entry$adhoc <- list(se = adhoc$se, pval = num(adhoc$pval), ci_lb = num(adhoc$ci.lb))
  if (!is.null(weighted)) entry$weighted <- list(beta = num(weighted$beta), se = weighted$se, ll = num(logLik(weighted)))
  # R2 needs metafor to know the intercept
  if (ncol(d$X) > 1 && all(d$X[, 1] == 1)) {
    m <- d$X[, -1, drop = FALSE]
    entry$R2 <- lapply(c(REML = "REML", DL = "DL", FE = "FE"), function(method)
      num(suppressWarnings(rma(d$yi, d$vi, mods = m, method = method, control = tight(d$vi)))$R2))
  }
  estimators[[name]] <- entry
}

cat("influence_of", proc.time()[3], "\n")
influence_of <- list()
for (name in setdiff(names_of, c("random_k3", "bcg_rr_ablat_year"))) for (test in c("z", "knha")) {
  d <- stored[[name]]
  if (length(d$yi) > 50 || (test == "knha" && ncol(d$X) == 1)) next
  r <- try_fit(d, test = test)
  if (is.null(r)) next
  i <- tryCatch(suppressWarnings(influence(r)), error = function(e) NULL)
  if (is.null(i)) { cat("no influence:", name, test, "\n"); next }
  p <- ncol(d$X)
  entry <- list(set = name, test = test, inf = lapply(unclass(i$inf)[c("rstudent", "dffits", "cook.d", "cov.r", "tau2.del",
    "QE.del", "hat", "weight")], num), dfbs = do.call(cbind, lapply(unclass(i$dfbs)[1:p], num)), flag = as.logical(i$is.infl))
  if (test == "z") {
    pdf(NULL); b <- baujat(r); invisible(dev.off())
    entry$baujat <- list(x = b$x, y = b$y)
  }
  influence_of[[length(influence_of) + 1]] <- entry
}

cat("cumulated", proc.time()[3], "\n")
cumulated <- list()
for (name in c("bcg_rr", "raudenbush1985", "collins1985b_or")) {
  d <- stored[[name]]
  r <- rma(d$yi, d$vi, control = tight(d$vi), test = "knha")
  cu <- cumul(r, order = d$vi)
  cumulated[[name]] <- list(beta = cu$estimate, se = cu$se, pval = cu$pval, tau2 = cu$tau2, QE = cu$Q, I2 = cu$I2)
}

set.seed(1)
cat("clouds", proc.time()[3], "\n")
clouds <- list()
for (name in c("hine1989_rd", "li2007_or", "egger2001_or", "collins1985b_or", "bcg_rr", "pritz1997_logit", "cohen1981_zcor", "yusuf1985_or"))
  for (method in c("REML", "DL", "FE", "PM")) {
  d <- stored[[name]]
  rows <- seq_len(min(length(d$yi), if (method %in% c("REML", "PM")) 6 else 8))
  r <- rma(d$yi[rows], d$vi[rows], method = method, control = tight(d$vi))
  g <- suppressWarnings(gosh(r, progbar = FALSE))
  clouds[[length(clouds) + 1]] <- list(set = name, method = method, incl = unname(1 * as.matrix(g$incl)), QE = g$res$QE, I2 = g$res$I2,
    H2 = g$res$H2, tau2 = g$res$tau2, estimate = g$res$estimate)
}
d <- stored$bcg_rr_ablat
r <- rma(d$yi[1:7], d$vi[1:7], mods = d$X[1:7, ], intercept = FALSE, method = "DL")
g <- suppressWarnings(gosh(r, progbar = FALSE))
clouds_mods <- list(incl = unname(1 * as.matrix(g$incl)), QE = g$res$QE, tau2 = g$res$tau2, b0 = g$res[, ncol(g$res) - 1], b1 = g$res[, ncol(g$res)])

cat("permuted", proc.time()[3], "\n")
permuted <- list()
for (name in c("hine1989_rd", "li2007_or", "egger2001_or", "collins1985b_or", "bcg_rr", "pritz1997_logit"))
  for (method in c("REML", "DL")) {
  d <- stored[[name]]
  rows <- seq_len(min(length(d$yi), if (method == "DL") 8 else 6))
  r <- rma(d$yi[rows], d$vi[rows], method = method, control = tight(d$vi))
  intervals <- method == "DL" && length(rows) <= 8 && name != "pritz1997_logit"
  p <- permutest(r, exact = TRUE, progbar = FALSE, permci = intervals, control = list(tol = 1e-7))
  permuted[[length(permuted) + 1]] <- list(set = name, method = method, test = "z", rows = length(rows), pval = num(p$pval),
    ci = if (intervals) c(num(p$ci.lb), num(p$ci.ub)) else NULL)
}
cat("permuted_mods", proc.time()[3], "\n")
permuted_mods <- list()
for (name in c("bcg_rr_ablat", "bcg_rr_alloc", "raudenbush1985_weeks", "hackshaw1998_design", "bangertdrowns2004_length", "curtis1998_rom_time"))
  for (test in c("z", "knha")) {
  d <- stored[[name]]
  rows <- switch(name, bcg_rr_alloc = c(1, 2, 4, 6, 9, 10, 13), hackshaw1998_design = c(1, 2, 3, 4, 5, 33, 34, 35, 36, 37),
    curtis1998_rom_time = c(1, 9, 17, 25, 33, 41), seq_len(6))
  X <- d$X[rows, , drop = FALSE]
  if (qr(X)$rank < ncol(X)) { cat("no rank:", name, "\n"); next }
  r <- rma(d$yi[rows], d$vi[rows], mods = X, intercept = FALSE, method = "DL", test = test)
  p <- tryCatch(permutest(r, exact = TRUE, progbar = FALSE), error = function(e) NULL)
  if (is.null(p)) { cat("no permutation:", name, "\n"); next }
  permuted_mods[[length(permuted_mods) + 1]] <- list(set = name, test = test, rows = rows, pval = num(p$pval), QMp = num(p$QMp), m = nrow(p$zval.perm))
}

cat("scales", proc.time()[3], "\n")
scales <- list()
scale_case <- function(name, Z, X = NULL, ...) {
  d <- stored[[name]]
  if (is.null(X)) X <- d$X
  for (optimizer in c("nlminb", "bobyqa", "optim")) {
    control <- switch(optimizer, nlminb = list(rel.tol = 1e-15, x.tol = 1e-12, iter.max = 5000, eval.max = 10000),
      bobyqa = list(optimizer = "bobyqa", rhoend = 1e-12, maxfun = 1e5), optim = list(optimizer = "optim", optmethod = "BFGS", reltol = 1e-15, maxit = 10000))
    r <- tryCatch(suppressWarnings(rma(d$yi, d$vi, mods = X, intercept = FALSE, scale = Z, control = control, ...)), error = function(e) NULL)
    if (is.null(r)) next
    scales[[length(scales) + 1]] <<- list(set = name, Z = unname(Z), X = unname(X), method = r$method, test = r$test, optimizer = optimizer, alpha = num(r$alpha),
      se_alpha = num(r$se.alpha), pval_alpha = num(r$pval.alpha), beta = num(r$beta), se = r$se, pval = num(r$pval), QM = num(r$QM), QS = num(r$QS), QSp = num(r$QSp),
      tau2 = num(r$tau2), ll = num(logLik(r)), AICc = AIC(r, correct = TRUE))
  }
}
one <- function(name) matrix(1, length(stored[[name]]$yi), 1)
for (method in c("REML", "ML")) for (test in c("z", "knha")) {
  for (name in c("bangertdrowns2004_length", "bcg_rr_ablat", "hackshaw1998_design", "curtis1998_rom_time", "random_k20_mod", "colditz1994_or", "viechtbauer2021_or"))
    scale_case(name, Z = stored[[name]]$X, X = if (test == "z") one(name) else NULL, method = method, test = test)
  scale_case("random_k60_three", Z = stored$random_k60_three$X[, 1:3], method = method, test = test)
}

cat("tests", proc.time()[3], "\n")
tests <- list()
for (name in c("bcg_rr_alloc_means", "bcg_rr_ablat_year", "raudenbush1985_setting_tester", "bangertdrowns2004_four")) for (test in c("z", "knha")) {
  d <- stored[[name]]
  p <- ncol(d$X)
  r <- try_fit(d, test = test)
  L <- if (name == "bcg_rr_alloc_means") rbind(c(1, -1, 0), c(1, 0, -1), c(0, 1, -1)) else cbind(0, diag(p - 1))
  a <- suppressWarnings(anova(r, X = L, rhs = 0.1))
  b <- anova(r, btt = 2:p)
  full <- model(d, method = "ML"); reduced <- model(list(yi = d$yi, vi = d$vi, X = d$X[, 1:(p - 1), drop = FALSE]), method = "ML")
  l <- anova(full, reduced)
  tests[[length(tests) + 1]] <- list(set = name, test = test, L = L, estimate = num(a$Xb), se = num(a$se), zval = num(a$zval), pval = num(a$pval),
    QM = num(a$QM), QMp = num(a$QMp), btt = list(QM = num(b$QM), QMp = num(b$QMp), df = num(b$QMdf[1])), LRT = num(l$LRT), LRTp = num(l$pval), ll = num(logLik(reduced)))
}

write(toJSON(list(estimators = estimators, influence = influence_of, cumulated = cumulated, gosh = clouds, gosh_mods = clouds_mods,
  permutation = permuted, permutation_mods = permuted_mods, location_scale = scales, tests = tests), digits = I(15), auto_unbox = TRUE, na = "null", null = "null"), "robustness.json")
write(toJSON(list(R = R.version.string, metafor = as.character(packageVersion("metafor")), jsonlite = as.character(packageVersion("jsonlite"))),
  auto_unbox = TRUE, pretty = TRUE), "versions_robustness.json")
