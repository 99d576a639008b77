# Writes multilevel.json and versions_multilevel.json: data sets and what metafor and clubSandwich answer for them.
# Run in this folder:  Rscript multilevel.R
# Every fit is repeated from its own solution with several optimisers, the best likelihood kept, because one run of
# metafor's default leaves the variances with four or five correct digits.

suppressMessages({library(metafor); library(metadat); library(clubSandwich); library(jsonlite)})

sets <- list()
add <- function(name, d, V = NULL, X = NULL, columns) {
  d <- as.data.frame(d)
  X <- if (is.null(X)) matrix(1, nrow(d), 1, dimnames = list(NULL, "intrcpt")) else X
  V <- if (is.null(V)) diag(signif(d$vi, 12), nrow(d)) else as.matrix(V)
  V[] <- signif(V, 12)
  at <- which(upper.tri(V) & V != 0, arr.ind = TRUE)
  sets[[name]] <<- list(yi = signif(as.numeric(d$yi), 12), V = V, X = X, d = d,
    stored = list(yi = signif(as.numeric(d$yi), 12), vi = diag(V), row = at[, 1] - 1, column = at[, 2] - 1,
      covariance = V[at], X = X, names = I(colnames(X)),
      columns = lapply(d[columns], function(x) if (is.numeric(x)) x else as.character(x))))
}

tight <- function(name, random, struct, method, test, fixed = list()) {
  s <- sets[[name]]
  # intercept = FALSE: X is complete; metafor still sees its column of ones
  dat <- s$d; dat$yi <- s$yi
  call <- function(control) {
    args <- c(list(yi = s$yi, V = s$V, mods = s$X, intercept = FALSE, random = random, struct = struct, data = dat,
                   method = method, test = test, control = control), fixed)
    tryCatch(suppressWarnings(do.call(rma.mv, args)), error = function(e) NULL)
  }
  best <- NULL
  for (tol in c(1e-13, 1e-11, 1e-9)) if (is.null(best)) best <- call(list(rel.tol = tol, iter.max = 5000, eval.max = 5000))
  if (is.null(best)) best <- call(list(optimizer = "optim", optmethod = "BFGS", reltol = 1e-14, maxit = 10000))
  for (round in 1:3) for (opt in list(list(optimizer = "nlminb", rel.tol = 1e-15, x.tol = 1e-14, iter.max = 5000, eval.max = 5000),
                    list(optimizer = "optim", optmethod = "Nelder-Mead", reltol = 1e-15, maxit = 20000),
                    list(optimizer = "optim", optmethod = "BFGS", reltol = 1e-15, maxit = 20000))) {
    if (length(s$yi) > 150 && opt$optimizer == "optim") next
    init <- list()
    if (best$withS) init$sigma2.init <- pmax(best$sigma2, 1e-8)
    if (best$withG) { init$tau2.init <- pmax(best$tau2, 1e-8); init$rho.init <- pmin(pmax(best$rho, -.9999), .9999) }
    if (best$withH) { init$gamma2.init <- pmax(best$gamma2, 1e-8); init$phi.init <- pmin(pmax(best$phi, -.9999), .9999) }
    r <- call(c(opt, init))
    if (!is.null(r) && as.numeric(logLik(r)) > as.numeric(logLik(best))) best <- r
  }
  best
}

fits <- list()
timing <- list()
# random: list of terms, each c("level", column) or c(struct, inner, outer)
run <- function(name, terms, method = "REML", test = "z", cluster = NULL, profile = FALSE, influence = FALSE, fixed = list()) {
  message(name, " ", method)
  s <- sets[[name]]
  formulas <- lapply(terms, function(t) if (t[1] == "level") as.formula(paste("~ 1 |", t[2])) else as.formula(paste("~", t[2], "|", t[3])))
  structs <- unlist(lapply(terms, function(t) if (t[1] == "level") NULL else t[1]))
  struct <- if (is.null(structs)) "CS" else structs
  r <- tight(name, formulas, struct, method, test, fixed)
  n <- function(x) I(as.numeric(x))
  out <- list(set = name, terms = lapply(terms, I), method = method, test = test, fixed = fixed,
    beta = n(r$beta), se = n(r$se), zval = n(r$zval), pval = n(r$pval), ci_lb = n(r$ci.lb), ci_ub = n(r$ci.ub), vb = r$vb,
    ll = as.numeric(logLik(r)), AIC = AIC(r), BIC = BIC(r), AICc = AIC(r, correct = TRUE),
    QE = r$QE, QEp = r$QEp, QM = r$QM, QMp = r$QMp, QM_df = r$m, parms = r$parms)
  if (r$withS) out$sigma2 <- n(r$sigma2)
  if (r$withG) { out$tau2 <- n(r$tau2); out$rho <- n(r$rho) }
  if (r$withH) { out$gamma2 <- n(r$gamma2); out$phi <- n(r$phi) }
  if (all(sapply(terms, function(t) t[1] == "level"))) {
    p <- predict(r)
    if (is.null(dim(p$pred)) && length(p$pred) >= 1) out$pi <- c(p$pi.lb[1], p$pi.ub[1])
    u <- ranef(r)
    out$ranef <- lapply(u, function(x) list(names = I(rownames(x)), u = n(x$intrcpt), se = n(x$se)))
  }
  if (!is.null(cluster)) {
    cl <- s$d[[cluster]]
    out$cluster <- cluster
    out$robust <- tryCatch({
      rb <- suppressMessages(robust(r, cluster = cl, adjust = TRUE))
      list(vb = rb$vb, dfs = rb$dfs, pval = n(rb$pval), ci_lb = n(rb$ci.lb), QM = rb$QM, QMp = rb$QMp)
    }, error = function(e) NULL)
    out$sandwich <- tryCatch(suppressWarnings(lapply(setNames(nm = c("CR0", "CR1", "CR1p", "CR2", "CR3")), function(type) {
      v <- vcovCR(r, cluster = cl, type = type)
      ct <- coef_test(r, vcov = v, test = "Satterthwaite")
      o <- list(vb = as.matrix(v), df = n(ct$df_Satt), p = n(ct$p_Satt))
      if (ncol(s$X) > 2) {
        w <- Wald_test(r, constraints = constrain_zero(2:ncol(s$X)), vcov = v, test = "HTZ")
        o$F <- w$Fstat; o$F_df <- w$df_denom; o$F_p <- w$p_val
      }
      o
    })), error = function(e) NULL)
  }
  if (profile) {
    ci <- suppressWarnings(confint(r, control = list(tol = 1e-9)))
    ci <- if (inherits(ci, "list.confint.rma")) ci[sapply(ci, is.list)] else list(ci)
    out$profile <- lapply(ci, function(x) as.numeric(x$random[1, 1:3]))
  }
  if (influence) {
    cl <- s$d[[cluster]]
    time <- system.time(cd <- cooks.distance(r, cluster = cl))
    timing[[paste(name, "cooks.distance")]] <<- sum(time[1:2])
    db <- dfbetas(r, cluster = cl)
    rs <- rstudent(r, cluster = cl)$cluster
    out$influence <- list(names = I(names(cd)), cook = n(cd), dfbetas = as.matrix(db), X2 = n(rs$X2), k = n(rs$k))
  }
  fits[[length(fits) + 1]] <<- out
  invisible(r)
}
level <- function(...) lapply(c(...), function(x) c("level", x))

## konstantopoulos2011
d <- dat.konstantopoulos2011; d$school <- paste(d$district, d$school); d$year1 <- d$year - 1976
add("konstantopoulos2011", d, columns = c("district", "school", "study"))
add("konstantopoulos2011_year", d, X = model.matrix(~ year1, d), columns = c("district", "school", "study"))
for (m in c("REML", "ML")) {
  run("konstantopoulos2011", level("district", "school"), m, cluster = "district", profile = TRUE, influence = m == "REML")
  run("konstantopoulos2011", list(c("CS", "school", "district")), m, cluster = "district")
  run("konstantopoulos2011_year", level("district", "school"), m, "t", cluster = "district", influence = m == "REML")
}
run("konstantopoulos2011", level("district"))
run("konstantopoulos2011", level("study"), profile = TRUE)

## berkey1998
d <- dat.berkey1998
V <- bldiag(lapply(split(d[c("v1i", "v2i")], d$trial), as.matrix)); d$year1 <- d$year - 1983
add("berkey1998", d, V, model.matrix(~ outcome - 1, d), c("trial", "outcome"))
add("berkey1998_year", d, V, model.matrix(~ outcome + outcome:year1 - 1, d), c("trial", "outcome"))
for (m in c("ML", "REML")) {
  for (st in c("UN", "CS", "HCS", "DIAG", "ID")) run("berkey1998", list(c(st, "outcome", "trial")), m, cluster = "trial", profile = st == "UN")
  run("berkey1998_year", list(c("UN", "outcome", "trial")), m)
}

run("berkey1998", list(c("CS", "outcome", "trial")), fixed = list(rho = .5))

## assink2016
d <- dat.assink2016; d$est <- seq_len(nrow(d))
cols <- c("study", "est", "esid", "deltype")
add("assink2016", d, columns = cols)
add("assink2016_che", d, vcalc(vi, cluster = study, obs = esid, rho = .6, data = d), columns = cols)
add("assink2016_type", d, vcalc(vi, cluster = study, type = deltype, obs = esid, rho = c(.7, .5), data = d),
    model.matrix(~ deltype + pubstatus, d), cols)
for (m in c("REML", "ML")) {
  run("assink2016", level("study", "est"), m, cluster = "study", profile = m == "REML")
  run("assink2016_che", level("study", "est"), m, "t", cluster = "study", influence = m == "REML")
  run("assink2016_type", level("study", "est"), m, cluster = "study")
}

run("assink2016", level("study", "est"), fixed = list(sigma2 = c(NA, .1)))

## bornmann2007
d <- escalc("OR", ai = waward, n1i = wtotal, ci = maward, n2i = mtotal, data = dat.bornmann2007); d$est <- seq_len(nrow(d))
add("bornmann2007", d, columns = c("study", "est"))
add("bornmann2007_type", d, X = model.matrix(~ type, d), columns = c("study", "est"))
for (m in c("REML", "ML")) {
  run("bornmann2007", level("study", "est"), m, cluster = "study")
  run("bornmann2007_type", level("study", "est"), m, "t", cluster = "study")
}

## crede2010
d <- escalc("ZCOR", ri = ri, ni = ni, data = dat.crede2010); d$sampleid <- paste(d$studyid, d$sampleid); d$est <- seq_len(nrow(d))
d <- d[!is.na(d$yi), ]
add("crede2010_grade", d[d$criterion == "grade", ], columns = c("studyid", "sampleid", "est"))
run("crede2010_grade", level("studyid", "sampleid"), cluster = "studyid", profile = TRUE)

## kalaian1996
d <- dat.kalaian1996
V <- vcalc(vi, cluster = study, type = outcome, rho = .66, data = d)
add("kalaian1996", d, V, model.matrix(~ outcome - 1, d), c("study", "outcome"))
for (m in c("REML", "ML")) run("kalaian1996", list(c("UN", "outcome", "study")), m, cluster = "study")

## riley2003
d <- dat.riley2003
add("riley2003", d, vcalc(vi, cluster = study, obs = outcome, rho = .5, data = d), model.matrix(~ outcome - 1, d), c("study", "outcome"))
run("riley2003", list(c("UN", "outcome", "study")))
run("riley2003", list(c("DIAG", "outcome", "study")), "ML")

## fine1993: one odds ratio per year, autocorrelated
d <- dat.fine1993
long <- do.call(rbind, lapply(1:4, function(t) {
  x <- escalc("OR", ai = d[[paste0("e", t, "i")]], n1i = d$nei, ci = d[[paste0("c", t, "i")]], n2i = d$nci)
  data.frame(study = d$study, time = t, yi = as.numeric(x$yi), vi = as.numeric(x$vi))
}))
d <- long[!is.na(long$yi), ]; d <- d[order(d$study, d$time), ]
V <- vcalc(vi, cluster = study, time1 = time, phi = .7, data = d)
add("fine1993", d, V, model.matrix(~ factor(time) - 1, d), c("study", "time"))
for (st in c("AR", "HAR", "CAR", "CS")) run("fine1993", list(c(st, "time", "study")))

## ishak2007
d <- reshape(dat.ishak2007, direction = "long", idvar = "study", v.names = c("yi", "vi"), varying = list(c(2, 4, 6, 8), c(3, 5, 7, 9)))
d <- d[order(d$study, d$time), ]; d <- d[!is.na(d$yi), ]
V <- vcalc(vi, cluster = study, time1 = time, phi = .97, data = d)
add("ishak2007", d, V, model.matrix(~ factor(time) - 1, d), c("study", "time"))
d$months <- c(3, 6, 12, 24)[d$time]
add("ishak2007_months", d, V, model.matrix(~ factor(time) - 1, d), c("study", "months"))
for (st in c("AR", "HAR", "CS", "HCS")) run("ishak2007", list(c(st, "time", "study")), cluster = "study")
run("ishak2007_months", list(c("CAR", "months", "study")))

## tannersmith2016, knapp2017, curtis1998, white2020, bcg, senn2013
d <- dat.tannersmith2016; d$est <- seq_len(nrow(d))
add("tannersmith2016", d, columns = c("studyid", "est"))
add("tannersmith2016_age", d, X = model.matrix(~ aget1 + propmale, d), columns = c("studyid", "est"))
run("tannersmith2016", level("studyid", "est"), cluster = "studyid", influence = TRUE)
run("tannersmith2016_age", level("studyid", "est"), cluster = "studyid")
d <- dat.knapp2017; d$est <- seq_len(nrow(d))
d$what <- paste(d$task, d$difficulty)
V <- vcalc(vi, cluster = study, grp1 = group1, grp2 = group2, w1 = n_sz, w2 = n_hc, obs = what, rho = .4, data = d)
add("knapp2017", d, V, columns = c("study", "est", "what", "group1", "group2", "n_sz", "n_hc"))
run("knapp2017", level("study", "est"), cluster = "study")
with <- !is.na(d$difficulty)
add("knapp2017_difficulty", d[with, ], V[with, with], model.matrix(~ difficulty, d[with, ]), c("study", "est"))
run("knapp2017_difficulty", level("study", "est"), "ML", cluster = "study")
d <- escalc("ROM", m1i = m1i, sd1i = sd1i, n1i = n1i, m2i = m2i, sd2i = sd2i, n2i = n2i, data = dat.curtis1998)
add("curtis1998", d, columns = c("paper", "id", "genus"))
run("curtis1998", level("paper", "id"), cluster = "paper")
run("curtis1998", level("paper", "id", "genus"))
d <- escalc("ZCOR", ri = r, ni = n, data = dat.white2020)
add("white2020", d, columns = c("study_id", "obs", "species"))
run("white2020", level("study_id", "obs"), cluster = "study_id")
run("white2020", level("study_id", "species", "obs"), cluster = "study_id")
d <- escalc("RR", ai = tpos, bi = tneg, ci = cpos, di = cneg, data = dat.bcg)
add("bcg", d, columns = c("trial"))
add("bcg_alloc", d, X = model.matrix(~ alloc + ablat, d), columns = c("trial"))
run("bcg", level("trial"), cluster = "trial", profile = TRUE, influence = TRUE)
run("bcg_alloc", level("trial"), "ML", "t", cluster = "trial")

## bakdash2021
d <- dat.bakdash2021; d$yi <- d$es.z; d$vi <- d$vi.z; d$est <- seq_len(nrow(d))
add("bakdash2021", d, columns = c("SampleID", "Outcome", "est"))
time <- system.time(rma.mv(yi, vi, random = ~ 1 | SampleID / Outcome, data = d))
timing[["bakdash2021 SampleID/Outcome"]] <- sum(time[1:2])
run("bakdash2021", level("SampleID", "est"), cluster = "SampleID")

write(toJSON(list(sets = lapply(sets, `[[`, "stored"), fits = fits), digits = I(16), auto_unbox = TRUE, na = "null", null = "null"), "multilevel.json")
write(toJSON(list(R = R.version.string, metafor = as.character(packageVersion("metafor")), metadat = as.character(packageVersion("metadat")),
  clubSandwich = as.character(packageVersion("clubSandwich")), jsonlite = as.character(packageVersion("jsonlite")), cpu_seconds = timing),
  auto_unbox = TRUE, pretty = TRUE, digits = I(6)), "versions_multilevel.json")
