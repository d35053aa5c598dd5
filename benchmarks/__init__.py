"""Measurements that are committed with the machine that made them."""
