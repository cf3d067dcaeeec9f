"""Jobs on other machines: a scheduler, workers that anybody may start, and the same files.

    python -m dcpriv_lib.engine.cluster scheduler PROFILE
    python -m dcpriv_lib.engine.cluster worker PROFILE

While a scheduler of a profile runs, its notebooks give their jobs to its workers (`driver`), and not to processes of
their own. The scheduling is Dask's. Workers see the same folder of results as the notebooks, keep there what they make,
and may come and go: what one had begun is taken up by another, from its last state. Where they meet, and who may take
part, is said in `meeting`.
"""
