# Writes measures.json and versions_measures.json: tables and what metafor's escalc makes of them.
# Run in this folder:  Rscript measures.R

suppressMessages({library(metafor); library(jsonlite)})

tables <- list()
table <- function(name, d, ...) {
  columns <- c(...)
  d <- d[complete.cases(d[, columns]), columns]
  names(d) <- names(columns)
  tables[[name]] <<- as.list(d)
}
two <- c(ai = "ai", n1i = "n1i", ci = "ci", n2i = "n2i")
bcg <- transform(dat.bcg, ai = tpos, n1i = tpos + tneg, ci = cpos, n2i = cpos + cneg)
table("bcg", bcg, two)
table("nielweise2007", dat.nielweise2007, two)
table("yusuf1985", dat.yusuf1985, two)
table("hine1989", dat.hine1989, two)
table("collins1985b", transform(dat.collins1985b, ai = pre.xti, n1i = pre.nti, ci = pre.xci, n2i = pre.nci), two)
bourassa <- transform(dat.bourassa1996, ai = lh.le, n1i = lh.le + lh.re, ci = rh.le, n2i = rh.le + rh.re)
bourassa <- subset(bourassa, n1i > 0 & n2i > 0)
table("bourassa1996", bourassa, two)
gibson <- transform(dat.gibson2002, n1i = ai + bi, n2i = ci + di)
table("gibson2002_counts", gibson, two)
means <- c(m1i = "m1i", sd1i = "sd1i", n1i = "n1i", m2i = "m2i", sd2i = "sd2i", n2i = "n2i")
table("normand1999", dat.normand1999, means)
table("gibson2002_means", dat.gibson2002, means)
table("curtis1998", dat.curtis1998, means)
rates <- c(x1i = "x1i", t1i = "t1i", x2i = "x2i", t2i = "t2i")
table("nielweise2008", dat.nielweise2008, rates)
table("hart1999", dat.hart1999, rates)
one <- c(xi = "xi", ni = "ni")
table("pritz1997", dat.pritz1997, one); table("debruin2009", dat.debruin2009, one)
table("hannum2020", dat.hannum2020, one)
table("nielweise2007_control", transform(dat.nielweise2007, xi = ci, ni = n2i), one)
single <- c(xi = "xi", ti = "ti")
table("nielweise2008_treated", transform(dat.nielweise2008, xi = x1i, ti = t1i), single)
table("hart1999_control", transform(dat.hart1999, xi = x2i, ti = t2i), single)
cor <- c(ri = "ri", ni = "ni")
table("molloy2014", dat.molloy2014, cor); table("mcdaniel1994", dat.mcdaniel1994, cor)
table("cohen1981", transform(dat.cohen1981, ni = ni), cor)
# Morris 2008, Table 5: five studies before and after, treated and control
morris <- function(m1, m2, s1, s2, n) data.frame(m1i = m2, m2i = m1, sd1i = s1, sd2i = s2, ni = n,
  ri = c(.47, .64, .77, .89, .44))
change <- c(m1i = "m1i", sd1i = "sd1i", m2i = "m2i", sd2i = "sd2i", ri = "ri", ni = "ni")
table("morris2008_treated", morris(c(30.6, 23.5, .5, 53.4, 35.6), c(38.5, 26.8, .7, 75.9, 36),
  c(15, 3.1, .1, 14.5, 4.7), c(11.6, 4.1, .1, 4.4, 4.6), c(20, 50, 9, 10, 14)), change)
table("morris2008_control", morris(c(23.1, 24.9, .6, 55.7, 34.8), c(19.7, 25.3, .6, 60.7, 33.4),
  c(13.8, 4.1, .2, 17.3, 3.1), c(14.8, 3.3, .2, 17.9, 6.9), c(20, 42, 9, 11, 14)), change)
table("normand1999_arm", transform(dat.normand1999, mi = m1i, sdi = sd1i, ni = n1i), c(mi = "mi", sdi = "sdi", ni = "ni"))

cases <- list()
case <- function(measure, sets, vtypes = NA, add = NA, to = NA) for (set in sets) for (vtype in vtypes) {
  arguments <- c(list(measure = measure), tables[[set]])
  if (!is.na(vtype)) arguments$vtype <- vtype
  if (!is.na(add)) arguments$add <- add
  if (!is.na(to)) arguments$to <- to
  r <- suppressWarnings(do.call(escalc, arguments))
  cases[[length(cases) + 1]] <<- list(measure = measure, table = set, vtype = vtype, add = add, to = to,
    yi = as.numeric(r$yi), vi = as.numeric(r$vi))
}
counts <- c("bcg", "nielweise2007", "hine1989", "collins1985b", "yusuf1985")
for (m in c("RR", "OR", "RD", "AS")) case(m, counts)
for (m in c("RR", "OR", "RD")) { case(m, "nielweise2007", add = .5, to = "all"); case(m, c("bcg", "nielweise2007"), add = .25, to = "if0all")
  case(m, "nielweise2007", add = 0, to = "none") }
case("PETO", counts, add = 0)
for (m in c("PHI")) case(m, c("bourassa1996", "bcg"), c("ST", "CS"))
for (m in c("YUQ", "YUY")) case(m, c("bourassa1996", "nielweise2007"))
for (m in c("OR2DL", "OR2DN", "PBIT")) case(m, c("gibson2002_counts", "nielweise2007"))
continuous <- c("normand1999", "gibson2002_means")
case("MD", continuous, c("LS", "HO"))
case("SMD", continuous, c("LS", "LS2", "UB", "AV"))
for (m in c("SMDH", "SMD1H", "D2ORL", "D2ORN")) case(m, continuous)
case("SMD1", continuous, "LS")
case("ROM", c("curtis1998", "normand1999"), c("LS", "HO", "AV", "AVHO"))
case("CVR", c("curtis1998", "normand1999"))
spreads <- means[c("sd1i", "n1i", "sd2i", "n2i")]
table("curtis1998_spreads", dat.curtis1998, spreads); table("normand1999_spreads", dat.normand1999, spreads)
case("VR", c("curtis1998_spreads", "normand1999_spreads"))
morris_sets <- c("morris2008_treated", "morris2008_control")
for (m in c("MC", "SMCC", "SMCR", "SMCRH", "ROMC")) case(m, morris_sets)
case("COR", c("molloy2014", "mcdaniel1994"), c("LS", "AV")); case("UCOR", "molloy2014", c("LS", "UB"))
case("ZCOR", c("molloy2014", "mcdaniel1994", "cohen1981"))
for (m in c("PR", "PLN", "PLO", "PAS", "PFT")) case(m, c("pritz1997", "debruin2009", "hannum2020", "nielweise2007_control"))
case("PR", "hannum2020", c("UB", "AV"))
for (m in c("IR", "IRLN", "IRS", "IRFT")) case(m, c("nielweise2008_treated", "hart1999_control"))
for (m in c("IRR", "IRD", "IRSD")) case(m, c("nielweise2008", "hart1999"))
case("MN", "normand1999_arm"); case("MNLN", "normand1999_arm")

back <- list()
for (set in c("pritz1997", "hannum2020", "nielweise2007_control")) {
  d <- escalc("PFT", xi = tables[[set]]$xi, ni = tables[[set]]$ni)
  r <- rma(yi, vi, data = d, method = "EE")
  p <- predict(r, transf = transf.ipft.hm, targs = list(ni = tables[[set]]$ni))
  back[[set]] <- list(beta = as.numeric(r$beta), ci_lb = r$ci.lb, ci_ub = r$ci.ub,
    harmonic = 1 / mean(1 / tables[[set]]$ni), each = as.numeric(transf.ipft(d$yi, tables[[set]]$ni)),
    pooled = c(p$pred, p$ci.lb, p$ci.ub))
}
write(toJSON(list(tables = tables, cases = cases, ipft = back), digits = I(17), auto_unbox = TRUE, na = "null"), "measures.json")
write(toJSON(list(R = R.version.string, metafor = as.character(packageVersion("metafor")),
  metadat = as.character(packageVersion("metadat")), jsonlite = as.character(packageVersion("jsonlite"))),
  auto_unbox = TRUE, pretty = TRUE), "versions_measures.json")
