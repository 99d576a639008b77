"""Virtual trials: a protocol, virtual patients, and the same record that a published trial has."""

from dualtrace.simulation.expected import expected as expected
from dualtrace.simulation.from_trial import protocol_of as protocol_of
from dualtrace.simulation.load import find_protocol as find_protocol
from dualtrace.simulation.load import read_protocol as read_protocol
from dualtrace.simulation.mechanism import Mechanism as Mechanism
from dualtrace.simulation.protocol import Protocol as Protocol
from dualtrace.simulation.virtual_trial import VirtualTrial as VirtualTrial
from dualtrace.simulation.virtual_trial import run as run
