"""Writes the network of a project as TorchScript, for a server by hand. Run: ``python export_network.py WINDOW FILE``.

In the project's folder, by the interpreter that has PyTorch. The network is trained once more, and comes out the same.
"""

import sys

import torch
from network import network
from rows import rentals, split

from kairos import Window

trained = network(split(rentals(Window.parse(sys.argv[1]))).train)
torch.jit.trace(trained, torch.zeros(2, next(trained.parameters()).shape[0])).save(sys.argv[2])
