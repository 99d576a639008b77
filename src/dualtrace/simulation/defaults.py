from dualtrace.simulation.protocol import Spread
from types import SimpleNamespace
def people_of(protocol):
    return SimpleNamespace(baseline={k: protocol.people.baseline.get(k) or Spread(mean=70,sd=20) for k in protocol.instruments}, dropout=.15, antidepressants=.3, weight_kg=Spread(mean=75,sd=14))
