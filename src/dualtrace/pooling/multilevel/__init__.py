"""Dependent effects: known covariances, structured random effects, and everything that follows a fit."""

from dualtrace.pooling.multilevel.compare import compare as compare
from dualtrace.pooling.multilevel.contract import Multilevel as Multilevel
from dualtrace.pooling.multilevel.fit import fit as fit
from dualtrace.pooling.multilevel.influence import cluster_influence as cluster_influence
from dualtrace.pooling.multilevel.known_v import assumed as assumed
from dualtrace.pooling.multilevel.predict import fitted as fitted
from dualtrace.pooling.multilevel.predict import predict as predict
from dualtrace.pooling.multilevel.predict import random_effects as random_effects
from dualtrace.pooling.multilevel.profile import profile_intervals as profile_intervals
from dualtrace.pooling.multilevel.refit import refit as refit
from dualtrace.pooling.multilevel.robust import robust as robust
from dualtrace.pooling.multilevel.terms import Level as Level
from dualtrace.pooling.multilevel.terms import Structured as Structured
from dualtrace.pooling.multilevel.terms import nested as nested
