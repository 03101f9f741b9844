"""A mutation run: which small errors in the reference kernels does the golden suite notice?

A mutant is a kernel with one small error: a > that became ≥, an axis that became the other, a statement left out. It is
*killed* by a golden case whose stored answers it no longer gives, and *told apart* from the original by a random draw
on which the two answer differently. The detection rate is

    mutants told apart that some golden case kills / mutants told apart

so that an error which changes no answer does not count, and neither does one that no draw shows.

    operators.py   the errors: which nodes of a syntax tree become which
    mutants.py     all mutants of a file, by name
    patch.py       a mutant put into the running program, and taken out again
    answers.py     a kernel's answers without its input checks, and under a time limit
    reach.py       which cases run which lines
    recipes.py     what Hypothesis chooses for a random question
    draws.py       random questions
    domain.py      which of them the public functions refuse
    examine.py     one mutant: the cases that kill it, the draw that tells it apart
    workers.py     many mutants, in processes that may hang or die
    report.py      what comes out
    core.py        the cases of the suite that are enough to notice all that it notices
    witness.py     a draw as text, to make a golden case from
    naming.py      whether the verifier takes a mutant for a deviation, and whether it is one
    survivors.toml mutants that no case can kill, each with the reason

    python -m tests.mutation run        examine every mutant, or go on with it; verdicts are in build/mutation.json
    python -m tests.mutation report     rates and survivors
    python -m tests.mutation show ID    the draw that tells a mutant apart, and both answers
    python -m tests.mutation core       choose the core tier of the suite: golden/core.txt
"""
