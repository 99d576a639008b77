# Writes partial.json: outside answers for the partial-information model.
# Run in this folder:  Rscript partial.R
# 1. Exact rows only: maximum likelihood and profile-likelihood intervals of tau2 from metafor's rma.mv.
# 2. Intervals and directions: survreg (package survival) fits y ~ N(Xb, s^2) to interval-censored data. With the
#    same sampling variance v in every row, that is the partial-information model with s^2 = v + tau2.

suppressMessages({library(metafor); library(jsonlite); library(survival)})
stored <- fromJSON("univariate.json")$sets

profiles <- list()
for (name in c("collins1985b_or", "bcg_rr", "bcg_or", "raudenbush1985", "lee2004_or", "random_k20", "normand1999_smd")) {
  d <- data.frame(yi = stored[[name]]$yi, vi = stored[[name]]$vi)
  d$id <- seq_len(nrow(d))
  r <- rma.mv(yi, vi, random = ~ 1 | id, data = d, method = "ML", control = list(rel.tol = 1e-10))
  ci <- suppressMessages(confint(r, control = list(tol = 1e-10)))$random[1, 2:3]
  profiles[[name]] <- list(beta = as.numeric(r$beta), tau2 = r$sigma2, ll = as.numeric(logLik(r)), tau2_ci = as.numeric(ci))
}

set.seed(7)
censored <- list()
i <- 0
while (length(censored) < 18) {
  i <- i + 1
  k <- c(12, 20, 40)[i %% 3 + 1]
  moderated <- i %% 2 == 0
  v <- signif(runif(1, .02, .1), 4)
  x <- round(rnorm(k), 4)
  y <- round(0.3 + 0.2 * x + rnorm(k, 0, sqrt(v + .15)), 6)
  s <- sqrt(v)
  lo <- y; hi <- y
  hide <- runif(k) < .6
  ns <- hide & abs(y) < 1.96 * s
  lo[ns] <- signif(-1.96 * s, 10); hi[ns] <- signif(1.96 * s, 10)
  side <- hide & !ns
  lo[side & y > 0] <- 0; hi[side & y > 0] <- NA
  lo[side & y < 0] <- NA; hi[side & y < 0] <- 0
  surv <- Surv(lo, hi, type = "interval2")
  r <- suppressWarnings(survreg(if (moderated) surv ~ x else surv ~ 1, dist = "gaussian",
                                control = survreg.control(rel.tolerance = 1e-14, maxiter = 1000)))
  if (r$iter == 1000 || r$scale^2 < 1.01 * v) next  # survreg knows no lower limit of s^2, so only tau2 > 0 compares
  exact <- !is.na(lo) & !is.na(hi) & lo == hi
  censored[[length(censored) + 1]] <- list(y = ifelse(exact, y, NA), v = v, lo = ifelse(exact, NA, lo),
    hi = ifelse(exact, NA, hi), exact = exact, x = if (moderated) x else NULL, beta = as.numeric(coef(r)),
    s2 = r$scale^2, ll = as.numeric(logLik(r)))
}

write(toJSON(list(profiles = profiles, censored = censored), digits = I(17), auto_unbox = TRUE, na = "null", null = "null"), "partial.json")
write(toJSON(list(R = R.version.string, metafor = as.character(packageVersion("metafor")),
  survival = as.character(packageVersion("survival")), jsonlite = as.character(packageVersion("jsonlite"))),
  auto_unbox = TRUE, pretty = TRUE), "versions_partial.json")
