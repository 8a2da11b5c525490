"""Data: what a data source gives, and how files become sequences, texts and arrays.

The lowest room: it imports only the modules of `zoo` itself. `zoo.runtime` reads its input with it, so no module but
`dataset` may need torch.
"""
