# Writes participant.json and versions.json: simulated participants and what lme4, lmerTest and nlme answer for them.
# Run in this folder:  Rscript participant.R
# Convergence is tightened: bobyqa and nlme stop early by default.

suppressMessages({library(lme4); library(lmerTest); library(nlme); library(jsonlite)})

simulate_trials <- function(seed, k, smallest, largest, tau, slope) {
  set.seed(seed)
  n <- sample(smallest:largest, k, replace = TRUE)
  trial <- rep(seq_len(k), n)
  t <- unlist(lapply(n, function(m) sample(rep(0:1, length.out = m))))
  z <- round(rnorm(sum(n), 0.3 * trial, 1), 3)
  a <- rnorm(k, 0, 0.8); b <- rnorm(k, 0.5, tau)
  eta <- a[trial] + b[trial] * t + 0.3 * z + slope * t * (z - ave(z, trial))
  list(trial = trial, t = t, z = z, y = round(eta + rnorm(sum(n), 0, 0.8 + 0.1 * trial), 4),
       event = as.integer(runif(sum(n)) < plogis(eta - 1)))
}
sets <- list(a = simulate_trials(11, 6, 20, 40, 0.7, 0.2), b = simulate_trials(5, 9, 16, 30, 0.5, -0.3))

frame <- function(s) {
  d <- as.data.frame(s)
  d$h <- d$t - 0.5
  m <- ave(d$z, d$trial)
  d$inside <- d$z - m
  d$across <- m - mean(m)
  d$hin <- d$h * d$inside
  d$hac <- d$h * d$across
  d$trial <- factor(d$trial)
  d
}
ctl <- lmerControl(optimizer = "bobyqa", optCtrl = list(rhobeg = 0.2, rhoend = 1e-11, maxfun = 1e5),
                   check.conv.grad = "ignore", check.conv.hess = "ignore", check.conv.singular = "ignore")
models <- list(
  stratified = y ~ 0 + trial + h + (0 + h | trial),
  random = y ~ 1 + h + (1 + h | trial),
  stratified_moderator = y ~ 0 + trial + h + trial:inside + hin + hac + (0 + h | trial),
  random_moderator = y ~ 1 + h + inside + across + hin + hac + (1 + h | trial)
)
wanted <- c("h", "hin", "hac")
pick <- function(x, names) unname(x[intersect(wanted, names)])
linear <- function(d, f, reml) {
  fit <- lmer(f, d, REML = reml, control = ctl)
  co <- coef(summary(fit, ddf = "Satterthwaite"))
  list(beta = pick(co[, "Estimate"], rownames(co)), se = pick(co[, "Std. Error"], rownames(co)),
       df = pick(co[, "df"], rownames(co)), psi = unname(as.matrix(VarCorr(fit)$trial)[, , drop = FALSE]),
       sigma2 = sigma(fit)^2, ll = as.numeric(logLik(fit)),
       log_det = as.numeric(determinant(crossprod(getME(fit, "X")))$modulus), reml = reml)
}
by_trial <- function(d) {
  fit <- lme(y ~ 0 + trial + h, random = ~ 0 + h | trial, weights = varIdent(form = ~ 1 | trial), data = d,
             control = lmeControl(opt = "optim", maxIter = 500, msMaxIter = 500, niterEM = 200, tolerance = 1e-12,
                                  msTol = 1e-13, optimMethod = "BFGS"))
  ratio <- c(1, coef(fit$modelStruct$varStruct, unconstrained = FALSE))
  ratio <- ratio[order(as.integer(c(setdiff(levels(d$trial), names(ratio)), names(ratio)[-1])))]
  list(beta = unname(fixef(fit)["h"]), se = unname(sqrt(vcov(fit)["h", "h"])), psi = as.numeric(VarCorr(fit)["h", 1]),
       sigma2 = unname(ratio^2 * fit$sigma^2))
}
logistic <- function(d) {
  gctl <- glmerControl(optimizer = "bobyqa", tolPwrss = 1e-13, optCtrl = list(rhoend = 1e-11, maxfun = 1e6),
                       check.conv.grad = "ignore", check.conv.hess = "ignore", check.conv.singular = "ignore")
  one <- function(f) {
    fit <- glmer(f, d, family = binomial, nAGQ = 25, control = gctl)
    co <- coef(summary(fit))
    list(beta = pick(co[, "Estimate"], rownames(co)), se = pick(co[, "Std. Error"], rownames(co)),
         psi = as.numeric(VarCorr(fit)$trial), ll = as.numeric(logLik(fit)))
  }
  list(stratified = one(event ~ 0 + trial + h + (0 + h | trial)),
       stratified_moderator = one(event ~ 0 + trial + h + trial:inside + hin + hac + (0 + h | trial)))
}
answers <- lapply(sets, function(s) {
  d <- frame(s)
  list(REML = lapply(models, function(f) linear(d, f, TRUE)), ML = lapply(models, function(f) linear(d, f, FALSE)),
       by_trial = by_trial(d), logistic = logistic(d))
})
write_json(list(sets = sets, answers = answers), "participant.json", digits = NA, auto_unbox = TRUE, matrix = "rowmajor")
packages <- c("lme4", "lmerTest", "nlme")
write_json(c(list(R = R.version.string), setNames(lapply(packages, function(p) as.character(packageVersion(p))), packages)),
           "versions.json", auto_unbox = TRUE, pretty = TRUE)
