"""What trains the models that the pictures to play with show; a page needs only its results.

``python -m vaebook.explorer train NAME`` runs it.
"""
