r"""Laws of frequency by rank, fitted for any real exponent to the ranks above the noise.

The support is finite, so that no exponent is special: s = 1 and s <= 0 are ordinary values.
Sampling noise bends the end of an observed rank curve (ranks are assigned by the very counts that
are plotted), so that only ranks with at least `k_min` counts enter, and the interval comes from a
bias-corrected bootstrap over the inputs.  Every fit carries the diagnostics that tell whether
there is anything to fit.
"""

from __future__ import annotations

import warnings

import numpy as np
from numpy.typing import ArrayLike, NDArray

import spinnet
from spinnet.errors import InputError, SpinnetWarning, StatisticsError
from spinnet.progress import progress_bar
from spinnet.randomness import RandomState, seed_record, seed_sequence
from spinnet.tails.rank import diagnostics as diagnose
from spinnet.tails.rank.bootstrap import METHODS, Bootstrap, bootstrap
from spinnet.tails.rank.laws import (
    PARAMETERS,
    ZIPF_EXPONENT,
    Law,
    divergence,
    fit_law,
    log_likelihood,
    relative_misfit,
)
from spinnet.tails.rank.result import ZipfFit
from spinnet.validation import choice, integer

Floats = NDArray[np.float64]

MODELS = tuple(PARAMETERS)
_OTHER_NAMES = {"truncated": "zipf"}


def fit_zipf(
    counts: ArrayLike,
    model: str = "zipf",
    *,
    k_min: int = 10,
    n_bootstrap: int = 0,
    ci: str = "bias-corrected",
    rng: RandomState = None,
    force: bool = False,
    progress: bool = False,
) -> ZipfFit:
    r"""Fit a law of frequency by rank to the counts of distinct patterns.

    The likelihood is that of the inputs within the ranks r <= r_max that have counts >= `k_min`;
    for the Zipf law p(r) ~ r^-s

    .. math:: \ln L = -s \sum_r k_r \ln r - K \ln H(s; 1, r_{\max}), \qquad K = \sum_r k_r.

    Parameters
    ----------
    counts : array_like, shape (n,)
        How often each distinct pattern was seen, in any order; zeros are left out.
    model : str
        ``"zipf"``: r^-s, truncated at r_max (``"truncated"`` is another name for it).
        ``"zipf-mandelbrot"``: (r + q)^-s, q >= 0.  ``"cut-off"``: r^-s exp(-rate r), rate >= 0.
        ``"lognormal"``: r^-a exp(-(c/2) ln^2 r).  ``"exponential"``: exp(-rate r).
        ``"stretched-exponential"``: exp(-g (r^beta - 1)/beta), beta >= 0.
        ``"dgbd"``: (r_max + 1 - r)^b / r^a.
    k_min : int
        Smallest count that enters the fit.  10 keeps the ranking bias of s near 0.01-0.02.
    n_bootstrap : int
        Resamples over inputs for the intervals, and as many data sets from the fit for `p_value`.
        Repeated passes over the same inputs are no new inputs: count each input once.
    ci : {"bias-corrected", "percentile", "basic"}
        How intervals are made from the resamples.
    rng : None, int, SeedSequence or Generator
        Randomness of the bootstraps.
    force : bool
        Fit even if fewer than 20 ranks qualify.
    progress : bool
        Show a progress bar.

    Returns
    -------
    ZipfFit

    Raises
    ------
    InputError
        Counts that are not whole numbers >= 0, or a bad option.
    StatisticsError
        Fewer than 20 ranks qualify (with `force`, one more than there are parameters);
        ``.estimate`` holds the diagnostics.

    Warns
    -----
    SpinnetWarning
        Once, if the coverage is below 0.9 or fewer than 1.5 decades of ranks are fitted.

    Examples
    --------
    >>> import numpy as np
    >>> fit = fit_zipf(np.round(1e5 / np.arange(1, 501) ** 0.8))
    >>> round(fit.zipf, 3), fit.r_max, fit.coverage
    (0.8, 500, 1.0)
    """
    model = model_name("model", model)
    k_min = integer("k_min", k_min, minimum=1)
    n_bootstrap = integer("n_bootstrap", n_bootstrap, minimum=0)
    method = choice("ci", ci, METHODS)
    for name, value in (("force", force), ("progress", progress)):
        if not isinstance(value, (bool, np.bool_)):
            raise InputError(f"{name} must be True or False, got {value!r:.80}")
    seed = seed_sequence(rng)
    ranked = diagnose.ranked_counts(counts)
    seen = diagnose.diagnose_ranked(ranked, k_min)
    _check_ranks(seen, model, bool(force))
    law = fit_law(model, ranked[: seen.r_max])
    with progress_bar(2 * n_bootstrap, bool(progress) and n_bootstrap > 0, "replicate") as bar:
        boot = bootstrap(ranked, law, k_min, n_bootstrap, method, seed, bar)
    notes = seen.warnings + _failures(boot.n_failed, n_bootstrap)
    if notes:
        warnings.warn("; ".join(notes), SpinnetWarning, stacklevel=2)
    return _result(ranked, seen, law, boot, n_bootstrap, method, seed, notes)


def model_name(argument: str, value: str) -> str:
    """Return the name of a law, one name for each."""
    name = choice(argument, value, (*MODELS, *_OTHER_NAMES))
    return _OTHER_NAMES.get(name, name)


def _result(
    ranked: Floats,
    seen: diagnose.CountDiagnostics,
    law: Law,
    boot: Bootstrap,
    n_bootstrap: int,
    method: str,
    seed: np.random.SeedSequence,
    notes: tuple[str, ...],
) -> ZipfFit:
    names, counts = PARAMETERS[law.model], ranked[: seen.r_max]
    return ZipfFit(
        model=law.model,
        parameters=dict(zip(names, law.values, strict=True)),
        errors=dict(zip(names, law.errors, strict=True)),
        intervals=boot.intervals,
        biases=boot.biases,
        bootstrap_errors=boot.errors,
        ci_method=method,
        diagnostics=seen,
        n_fitted=int(counts.astype(np.int64).sum()),
        log_likelihood=log_likelihood(counts, law.log_p),
        kl_divergence=divergence(counts, law.log_p),
        largest_misfit=float(np.abs(relative_misfit(counts, law.log_p)).max()),
        p_value=boot.p_value,
        warnings=notes,
        note=_note(law),
        n_bootstrap=n_bootstrap,
        n_failed=boot.n_failed,
        seed=seed_record(seed) if n_bootstrap else None,
        version=spinnet.__version__,
        _counts=ranked,
        _law=law,
    )


def _note(law: Law) -> str:
    notes = [law.note] if law.note else []
    if law.model not in ZIPF_EXPONENT:
        notes.append(f"the {law.model} law has no Zipf exponent: its slope changes with rank")
    return "; ".join(notes)


def _check_ranks(seen: diagnose.CountDiagnostics, model: str, force: bool) -> None:
    needed = len(PARAMETERS[model]) + 1 if force else diagnose.MIN_RANKS
    if seen.r_max >= needed:
        return
    advice = "" if force else ", or pass force=True to fit it all the same"
    raise StatisticsError(
        f"only {seen.r_max} of {seen.n_distinct} distinct patterns have counts >= "
        f"k_min={seen.k_min} ({seen.n_singletons} were seen once, coverage "
        f"{seen.coverage:.3f}); a {model} law of ranks needs at least {needed}: take more inputs "
        f"or fewer units{advice}",
        estimate=seen.to_dict(),
    )


def _failures(n_failed: int, n_bootstrap: int) -> tuple[str, ...]:
    if not n_failed:
        return ()
    return (f"{n_failed} of {2 * n_bootstrap} bootstrap replicates have no finite fit",)
