"""Engines that know the prior by its denoiser: samplers and point methods of diffusion priors.

They ask the protocol :class:`pdeinv.model.learned.Denoiser` and nothing else about the prior, so
that a trained network and a closed form are the same to them.
"""
