"""A small network of PyTorch on the same rows."""

import polars as pl
import torch
from rows import rentals, split

from kairos import model

__all__ = ["network", "rentals", "split"]


@model(target="users", drop=["hour", "season", "weather"])
def network(train: pl.DataFrame, *, steps: int = 300) -> torch.nn.Module:
    """A small network, trained here."""
    torch.manual_seed(0)
    inputs = torch.from_numpy(train.drop("hour", "season", "weather", "users").to_numpy()).float()
    truths = torch.from_numpy(train["users"].to_numpy()).float().reshape(-1, 1)
    layers = [torch.nn.BatchNorm1d(inputs.shape[1]), torch.nn.Linear(inputs.shape[1], 64), torch.nn.ReLU()]
    net = torch.nn.Sequential(*layers, torch.nn.Linear(64, 64), torch.nn.ReLU(), torch.nn.Linear(64, 1))
    rule = torch.optim.Adam(net.parameters(), lr=0.01)
    for _ in range(steps):
        rule.zero_grad()
        torch.nn.functional.mse_loss(net(inputs), truths).backward()
        rule.step()
    return net.eval()
