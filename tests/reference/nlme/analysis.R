# Writes analysis.json and versions.json: simulated patients and what R answers for them.
# Run in this folder:  Rscript analysis.R
# lm with sandwich (HC3) for regressions; nlme::gls for scores over visits; lme4 with lmerTest and pbkrtest for degrees
# of freedom. Convergence is tightened: the optimisers stop early by default.

suppressMessages({library(nlme); library(lme4); library(lmerTest); library(pbkrtest); library(sandwich); library(jsonlite)})

thin <- function(y, share) { y[runif(length(y)) < share] <- NA; y }
trial <- function(seed, n, arms) {
  set.seed(seed)
  arm <- sample(rep(seq_len(arms) - 1, length.out = n)); baseline <- round(rnorm(n, 60, 12), 2); age <- round(runif(n, 18, 65))
  post <- 0.6 * baseline - 4 * arm - 0.1 * age + rnorm(n, 0, 7 + 3 * arm)
  list(arm = arm, baseline = baseline, age = age, post = round(thin(post, 0.1), 3))
}
visits <- function(seed, n, m, sd) {
  set.seed(seed)
  arm <- sample(rep(0:1, length.out = n)); baseline <- round(rnorm(n, 60, 12), 2); age <- round(runif(n, 18, 65))
  time <- seq_len(m) - mean(seq_len(m))
  y <- outer(0.6 * baseline - 0.1 * age + rnorm(n, 0, sd[1]), rep(1, m)) - outer(arm, seq_len(m)) +
    outer(rnorm(n, 0, sd[2]), time) + matrix(rnorm(n * m, 0, sd[3]), n)
  y[, 1] <- y[, 1] + rnorm(n, 0, sd[4]); y[, m] <- y[, m] + rnorm(n, 0, sd[4])
  leaves <- sample(c(rep(m + 1, 4), 2:m), n, replace = TRUE)
  y[outer(leaves, seq_len(m), "<=")] <- NA
  y[, 1] <- thin(y[, 1], 0.05)
  list(arm = arm, baseline = baseline, age = age, scores = round(y, 3))
}
sessions <- function(seed, patients) {
  set.seed(seed)
  m <- sample(1:6, patients, replace = TRUE); patient <- rep(seq_len(patients), m)
  drug <- (patient %% 2); end <- round(runif(length(patient), 5, 85), 1); number <- sequence(m)
  y <- 20 - 10 * drug + 0.4 * end + 0.25 * drug * end - number + rnorm(patients, 0, 8)[patient] + rnorm(length(patient), 0, 9)
  list(patient = patient, drug = drug, end = end, number = number, next_fear = round(thin(y, 0.05), 2))
}
sets <- list(two = trial(1, 90, 2), three = trial(2, 120, 3), visits3 = visits(7, 100, 3, c(6, 3, 3, 5)),
             visits4 = visits(4, 60, 4, c(5, 2, 5, 2)), sessions = sessions(5, 50))

contrast <- function(fit, L, V = vcov(fit)) list(estimate = as.numeric(L %*% coef(fit)), se = sqrt(as.numeric(L %*% V %*% L)))
regression <- function(d) {
  d <- na.omit(as.data.frame(d)); d$arm <- factor(d$arm)
  fit <- lm(post ~ arm + baseline + age, d); co <- coef(summary(fit)); hc <- vcovHC(fit, "HC3"); k <- nlevels(d$arm)
  at <- cbind(1, rbind(0, diag(k - 1))[, seq_len(k - 1), drop = FALSE], mean(d$baseline), mean(d$age))
  list(estimate = I(unname(coef(fit)[2:k])), se = I(unname(co[2:k, 2])), p = I(unname(co[2:k, 4])), df = fit$df.residual,
       ci_lb = I(unname(confint(fit)[2:k, 1])), ci_ub = I(unname(confint(fit)[2:k, 2])),
       hc3 = I(unname(sqrt(diag(hc))[2:k])), adjusted = as.numeric(at %*% coef(fit)),
       adjusted_se = sqrt(diag(at %*% vcov(fit) %*% t(at))), sigma = sigma(fit))
}
moderated <- function(d) {
  d <- na.omit(as.data.frame(d)); fit <- lm(post ~ arm * baseline + age, d); co <- coef(summary(fit))
  at <- sapply(c(40, 60, 80), function(m) unlist(contrast(fit, c(0, 1, 0, 0, m))))
  pick <- c("(Intercept)", "arm", "baseline", "arm:baseline", "age")
  list(slopes = unname(co[pick, 1][-1]), se = unname(co[pick, 2][-1]), at = at[1, ], at_se = at[2, ], df = fit$df.residual)
}
long <- function(d) {
  m <- ncol(d$scores); n <- nrow(d$scores)
  f <- data.frame(id = factor(rep(seq_len(n), m)), v = rep(seq_len(m), each = n), arm = factor(rep(d$arm, m)),
                  b = rep(d$baseline, m), age = rep(d$age, m), y = as.vector(d$scores))
  f$visit <- factor(f$v); f[order(f$id, f$v), ] -> f; f <- f[!is.na(f$y), ]
  f$b <- f$b - mean(d$baseline[rowSums(!is.na(d$scores)) > 0]); f$age <- f$age - mean(d$age[rowSums(!is.na(d$scores)) > 0])
  f
}
model <- y ~ 0 + visit:arm + visit:b + age
rows <- function(names, m) lapply(seq_len(m), function(v) {
  L <- setNames(numeric(length(names)), names); L[sprintf("visit%d:arm1", v)] <- 1; L[sprintf("visit%d:arm0", v)] <- -1; L
})
means <- function(fit, f, beta, V, m) {
  pick <- as.vector(outer(seq_len(m), 0:1, function(v, a) sprintf("visit%d:arm%d", v, a)))
  list(adjusted = matrix(unname(beta[pick]), m), adjusted_se = matrix(unname(sqrt(diag(V))[pick]), m))
}
by_gls <- function(d, kind) {
  f <- long(d); m <- ncol(d$scores)
  structures <- list(unstructured = corSymm(form = ~ v | id), compound = corCompSymm(form = ~ v | id), ar1 = corAR1(form = ~ v | id))
  ctl <- glsControl(opt = "optim", optimMethod = "BFGS", maxIter = 1000, msMaxIter = 1000, tolerance = 1e-12, msTol = 1e-13)
  fit <- if (kind == "unstructured") {
    gls(model, f, correlation = structures[[kind]], weights = varIdent(form = ~ 1 | visit), control = ctl)
  } else gls(model, f, correlation = structures[[kind]], control = ctl)
  found <- lapply(rows(names(coef(fit)), m), function(L) contrast(fit, L))
  X <- model.matrix(model, f)
  whole <- names(which(table(f$id) == m))[1]
  c(list(estimate = sapply(found, `[[`, "estimate"), se = sapply(found, `[[`, "se"), ll = as.numeric(logLik(fit)),
         log_det = as.numeric(determinant(crossprod(X))$modulus),
         sigma = unclass(getVarCov(fit, individual = whole))[, ]), means(fit, f, coef(fit), vcov(fit), m))
}
ctl <- lmerControl(optimizer = "bobyqa", optCtrl = list(rhobeg = 0.2, rhoend = 1e-11, maxfun = 1e5), check.nobs.vs.nRE = "ignore",
                   check.conv.grad = "ignore", check.conv.hess = "ignore", check.conv.singular = "ignore")
by_lmer <- function(d, random) {
  f <- long(d); m <- ncol(d$scores)
  f$t <- f$v - mean(seq_len(m)); f$first <- as.numeric(f$v == 1); f$last <- as.numeric(f$v == m)
  fit <- lmer(update(model, as.formula(paste(". ~ . +", random))), f, control = ctl)
  L <- rows(names(fixef(fit)), m)
  s <- lapply(L, function(l) contest(fit, l, joint = FALSE, ddf = "Satterthwaite"))
  k <- lapply(L, function(l) contest(fit, l, joint = FALSE, ddf = "Kenward-Roger"))
  col <- function(x, name) sapply(x, function(r) r[[name]])
  list(estimate = col(s, "Estimate"), se = col(s, "Std. Error"), df = col(s, "df"), kr_se = col(k, "Std. Error"), kr_df = col(k, "df"),
       variances = subset(as.data.frame(VarCorr(fit)), is.na(var2))$vcov, ll = as.numeric(logLik(fit)),
       log_det = as.numeric(determinant(crossprod(getME(fit, "X")))$modulus))
}
by_session <- function(d) {
  f <- na.omit(as.data.frame(d)); f$c <- f$end - 45; f$patient <- factor(f$patient)
  fit <- lmer(next_fear ~ drug * c + number + (1 | patient), f, control = ctl)
  co <- coef(summary(fit, ddf = "Satterthwaite"))[c("(Intercept)", "drug", "c", "drug:c", "number"), ]
  at <- lapply(c(20, 45, 70), function(m) contest(fit, c(0, 1, 0, 0, m - 45), joint = FALSE))
  list(estimate = unname(co[, 1])[-1], se = unname(co[, 2])[-1], df = unname(co[, 3])[-1], variances = as.data.frame(VarCorr(fit))$vcov,
       at = sapply(at, `[[`, "Estimate"), at_se = sapply(at, `[[`, "Std. Error"), at_df = sapply(at, `[[`, "df"),
       ll = as.numeric(logLik(fit)), log_det = as.numeric(determinant(crossprod(getME(fit, "X")))$modulus))
}
kinds <- c(unstructured = "unstructured", compound = "compound", ar1 = "ar1")
answers <- list(
  ancova = list(two = regression(sets$two), three = regression(sets$three)), moderation = moderated(sets$two),
  gls = lapply(list(visits3 = sets$visits3, visits4 = sets$visits4), function(d) lapply(kinds, function(k) by_gls(d, k))),
  # six variances of these random effects and the residual span every covariance matrix of three visits
  lmer = list(visits3 = list(unstructured = by_lmer(sets$visits3, "(1 + t | id) + (0 + first | id) + (0 + last | id)"),
                             compound = by_lmer(sets$visits3, "(1 | id)")),
              visits4 = list(compound = by_lmer(sets$visits4, "(1 | id)"))),
  sessions = by_session(sets$sessions))
write_json(list(sets = sets, answers = answers), "analysis.json", digits = NA, auto_unbox = TRUE, matrix = "rowmajor", na = "null")
packages <- c("nlme", "lme4", "lmerTest", "pbkrtest", "sandwich")
write_json(c(list(R = R.version.string), setNames(lapply(packages, function(p) as.character(packageVersion(p))), packages)),
           "versions.json", auto_unbox = TRUE, pretty = TRUE)
