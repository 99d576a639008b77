"""Bayesian pooling: exact by quadrature for one mean, by NUTS (extra ``bayes``) for everything larger."""

from dualtrace.pooling.bayesian.empirical import rhodes as rhodes
from dualtrace.pooling.bayesian.empirical import turner as turner
from dualtrace.pooling.bayesian.fit import fit as fit
from dualtrace.pooling.bayesian.fit import sensitivity as sensitivity
from dualtrace.pooling.bayesian.priors import MeanPrior as MeanPrior
from dualtrace.pooling.bayesian.priors import half_cauchy as half_cauchy
from dualtrace.pooling.bayesian.priors import half_normal as half_normal
from dualtrace.pooling.bayesian.priors import half_t as half_t
from dualtrace.pooling.bayesian.priors import log_normal as log_normal
from dualtrace.pooling.bayesian.priors import log_t as log_t
