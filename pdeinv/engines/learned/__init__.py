"""Reconstructions by learned inverses: what one evaluation says, tried on the model, and polished.

Engines here know the estimate that a posterior carries (:class:`pdeinv.model.learned.Estimate`);
what was trained, and how, is not their concern.
"""
