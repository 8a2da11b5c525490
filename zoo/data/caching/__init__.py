"""Data beyond memory: arrays in files that are mapped into memory, kept in a cache by the content they were made of.

1. `rule.is_cached`: whether a file is read into memory, or through the cache;
2. `stored_table.stored_table`: a table whose columns are read from disk one at a time;
3. `space.Space`: where the arrays of a preparation are made, in memory or in files;
4. `cache.Cache`: whole and undamaged results, found again by their key;
5. `mapped`: mapping of a file, and return of its pages.

Imports no torch.
"""
