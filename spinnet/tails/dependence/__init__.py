"""Dependence between successive values: a check of independence, thinning, block bootstrap."""

from __future__ import annotations

from spinnet.tails.dependence.blocks import BlockBootstrap as BlockBootstrap
from spinnet.tails.dependence.blocks import block_bootstrap as block_bootstrap
from spinnet.tails.dependence.independence import Independence as Independence
from spinnet.tails.dependence.independence import check_independence as check_independence

__all__ = ["BlockBootstrap", "Independence", "block_bootstrap", "check_independence"]
