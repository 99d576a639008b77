"""Records to effects: a number with a variance, or the interval that is all that was reported."""

from dualtrace.effects.convert import convert as convert
from dualtrace.effects.effect import Effect as Effect
from dualtrace.effects.effect import Metric as Metric
from dualtrace.effects.effect import NoEffect as NoEffect
from dualtrace.effects.select import Selection as Selection
from dualtrace.effects.select import between_arms as between_arms
