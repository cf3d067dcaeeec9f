# make help lists what there is to do.
PYTHON ?= python3
export PATH := $(CURDIR)/.venv/bin:$(PATH)
unexport PYTHONDONTWRITEBYTECODE  # without .pyc files every import takes three times as long
# Snakemake and others keep caches in the home folder, which compute nodes may not let them write to.
ifeq ($(shell d="$${XDG_CACHE_HOME:-$$HOME/.cache}"; mkdir -p "$$d" 2>/dev/null && test -w "$$d" && echo writable),)
export XDG_CACHE_HOME := $(CURDIR)/.venv/cache
endif
results = "$${DCPRIV_RESULTS:-results}"

# In place of the shell, so that a SIGTERM to make reaches it; it ends too when make itself is killed.
start = exec env DCPRIV_PARENT=$$PPID

define run
$(start) DCPRIV_AGAIN="$(if $(filter fresh,$@),,make $@)" snakemake --cores all --config "profile=$(1)"
@echo && python -m dcpriv_lib.results.findings "$(1)"
endef

# One process a core, each with whole files, whose fixtures are then made once; those with slow tests come first.
parallel = -n auto --dist loadfile --no-loadscope-reorder

# what is empty is left out
option = $(if $($(1)),--$(2) "$($(1))")

.PHONY: audit help lint check report fresh lab lecture mnist-small paper authors published test check-notebooks check-library notebooks figures site sync clean
help:  ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

report: .venv/ready  ## the quick profile on the bundled digits: minutes on two cores
	@$(call run,quick)

fresh: .venv/ready  ## start a profile anew: make fresh PROFILE=quick; what it had found is kept in results/.old
	@python -m dcpriv_lib.engine.fresh "$(PROFILE)"
	@$(if $(filter authors published,$(PROFILE)),make --no-print-directory $(PROFILE),$(call run,$(PROFILE)))

lab: .venv/ready  ## open the first notebook in JupyterLab
	jupyter lab notebooks/01_data_split.ipynb

lecture: .venv/ready  ## the slides of notebook 0 in site/; a browser needs the network to show them (its page in site/ needs none)
	jupyter nbconvert --to slides --no-input --output-dir site notebooks/00_one_lecture.ipynb

mnist-small: .venv/ready  ## real MNIST at a reduced scale: hours on two cores
	@$(call run,mnist-small)

paper: .venv/ready  ## the paper's experiment on MNIST, condensation cut to fit: hours on two cores
	@$(call run,paper)

authors: .venv/ready  ## what the authors of the paper published, from a clone of their repository: minutes
	@$(start) OMP_NUM_THREADS=1 MKL_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 python -m dcpriv_lib.engine.run_notebook \
		notebooks/08_the_authors_models.ipynb $(results)/authors/notebooks/08_the_authors_models.ipynb
	@python -m dcpriv_lib.results.tables $(results)/authors/tables/authors_claims.csv

published: .venv/ready  ## the methods of condensation by their authors' protocol, cut to fit: an hour or two on two cores
	@exec env OMP_NUM_THREADS=1 python benchmarks/published.py

# make names the exit status: 1 refuted, 2 inconclusive, 3 bad input; it ends itself with 2 for all three
audit: .venv/ready  ## does a condensed set give people away: make audit SET=mine.npz DATA=mydata.npz [METHOD=, COMMAND=, CLAIM=, OPTIONS=]
	@exec env OMP_NUM_THREADS=1 python -m dcpriv_lib.audit "$(SET)" "$(DATA)" $(call option,METHOD,method) \
		$(call option,COMMAND,command) $(call option,CLAIM,claim) $(OPTIONS)

lint: .venv/ready  ## format, rules and types
	@ruff format --check --quiet . && ruff check --quiet . && mypy

check: lint  ## the same, and every test that is not slow
	@results=$$(mktemp -d) && trap 'rm -rf "$$results"' EXIT && \
	DCPRIV_RESULTS="$$results" OMP_NUM_THREADS=1 python -m pytest -q $(parallel) -m "not slow" tests

test: lint  ## every check: the notebooks at quick scale and what they find, and beside them the tests
	@$(MAKE) --no-print-directory --jobs 2 check-notebooks check-library

check-notebooks: what = -p executed_notebooks --nbval-lax --nbval-current-env notebooks tests/results/test_drift.py
check-library: what = $(parallel) tests --ignore tests/results/test_drift.py
check-notebooks check-library: .venv/ready
	@results=$$(mktemp -d) && trap 'rm -rf "$$results"' EXIT && \
	DCPRIV_RESULTS="$$results" OMP_NUM_THREADS=1 python -m pytest $(what)

# notebook 8 needs what its authors published
without_authors = $(if $(wildcard $(or $(DCPRIV_DATA),data)/Dataset-Condensation-for-Data-Privacy),,notebooks/08_% notebooks/solutions/08_%)
notebooks: .venv/ready  ## execute the notebooks in place, at quick scale
	jupytext --sync notebooks/*.py notebooks/solutions/*.py
	for notebook in $(filter-out $(without_authors),$(sort $(wildcard notebooks/*.ipynb)) \
			$(sort $(wildcard notebooks/solutions/*.ipynb))); do \
		TQDM_MININTERVAL=5 OMP_NUM_THREADS=1 jupyter nbconvert --to notebook --inplace --execute \
			--NotebookExporter.preprocessors nbconvert.preprocessors.CoalesceStreamsPreprocessor \
			--NotebookExporter.preprocessors dcpriv_lib.results.notebook_outputs.PalettePreprocessor $$notebook || exit 1; \
	done

figures: .venv/ready  ## copy what every finished profile found to figures/, or only PROFILE=; refuses uncommitted code's
	@python -m dcpriv_lib.results.committed $(PROFILE)

site: .venv/ready  ## the report's pages in site/, from the notebooks as they are committed; runs nothing
	@python -m dcpriv_lib.results.report

sync: .venv/ready  ## bring each notebook's .py and .ipynb in step
	jupytext --sync notebooks/*.py notebooks/solutions/*.py

clean:  ## delete the environment, not the results
	rm -rf .venv

.venv/ready: requirements.txt requirements-uv.txt pyproject.toml
	$(PYTHON) -m venv .venv
	.venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-uv.txt
	.venv/bin/uv pip install --quiet --python .venv/bin/python --require-hashes --build-constraints requirements.txt -r requirements.txt
	.venv/bin/uv pip install --quiet --python .venv/bin/python --no-deps --no-build-isolation --editable .
	.venv/bin/python -m dcpriv_lib.arithmetic kernel
	touch $@
