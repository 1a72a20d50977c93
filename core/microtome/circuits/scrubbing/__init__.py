"""Causal scrubbing: does a model compute what a hypothesis says, when all else is shuffled away?"""
