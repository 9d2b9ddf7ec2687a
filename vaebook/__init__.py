"""The package behind *Why Normal?*, a book on variational autoencoders.

Read it from left to right; a module imports only from its left::

    data -> distributions -> models -> training -> metrics -> experiments -> plots

Importing ``vaebook`` does nothing but define names: it sets no seed, font or warning filter.
"""

__version__ = "0.1.0"
