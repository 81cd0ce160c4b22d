"""Weights that the authors of a method released, or their code saves, read into networks of ours.

Each module knows one code base: how it names the tensors of a network that is ours layer for layer, and which of its
tensors have no place here. What a file does not show, such as the groups of a norm, the recipe must tell.
"""
