# make help lists what there is to do.
PYTHON ?= python3
BIN := $(CURDIR)/.venv/bin
export PATH := $(BIN):$(PATH)
unexport PYTHONDONTWRITEBYTECODE  # without .pyc files every import takes three times as long
RESULTS := $(or $(DCPRIV_RESULTS),$(CURDIR)/results)

# --nolock: a killed run must not need unlocking; files are written atomically
define run
DCPRIV_AGAIN="make $@" snakemake --cores all --nolock --rerun-incomplete --quiet all --config profile=$(1)
@echo && cat $(RESULTS)/$(1)/tables/summary.md && echo && echo "Report: $(RESULTS)/$(1)/report/index.html"
endef

.PHONY: help report mnist-small paper authors published test check-notebooks check-library notebooks figures site sync clean
help:  ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

report: .venv/ready  ## the quick profile on the bundled digits: minutes on two cores
	@$(call run,quick)

mnist-small: .venv/ready  ## real MNIST at a reduced scale: hours on two cores
	@$(call run,mnist-small)

paper: .venv/ready  ## the paper's experiment on MNIST, condensation cut to fit: hours on two cores
	@$(call run,paper)

authors: .venv/ready  ## what the authors of the paper published, from a clone of their repository: minutes
	@TQDM_MININTERVAL=30 OMP_NUM_THREADS=1 MKL_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 python -m dcpriv_lib.step \
		notebooks/08_the_authors_models.ipynb $(RESULTS)/authors/notebooks/08_the_authors_models.ipynb
	@cat $(RESULTS)/authors/tables/authors_claims.md

published: .venv/ready  ## the methods of condensation by their authors' protocol, cut to fit: an hour or two on two cores
	@OMP_NUM_THREADS=1 python benchmarks/published.py

test: .venv/ready  ## every check, in two processes: the notebooks at quick scale and what they find, and the tests
	@$(MAKE) --no-print-directory --jobs 2 check-notebooks check-library

check-notebooks: what = --nbval-lax --nbval-current-env notebooks tests/test_drift.py
check-library: what = tests --ignore tests/test_drift.py
check-notebooks check-library: .venv/ready
	@results=$$(mktemp -d) && trap 'rm -rf "$$results"' EXIT && \
	DCPRIV_RESULTS=$$results OMP_NUM_THREADS=1 python -m pytest $(what)

# notebook 8 needs what its authors published
without_authors = $(if $(wildcard $(or $(DCPRIV_DATA),data)/Dataset-Condensation-for-Data-Privacy),,notebooks/08_% notebooks/solutions/08_%)
notebooks: .venv/ready  ## execute the notebooks in place, at quick scale
	jupytext --sync notebooks/*.py notebooks/solutions/*.py
	for notebook in $(filter-out $(without_authors),$(sort $(wildcard notebooks/*.ipynb)) \
			$(sort $(wildcard notebooks/solutions/*.ipynb))); do \
		TQDM_MININTERVAL=5 OMP_NUM_THREADS=1 jupyter nbconvert --to notebook --inplace --execute \
			--NotebookExporter.preprocessors nbconvert.preprocessors.CoalesceStreamsPreprocessor $$notebook || exit 1; \
	done

figures: .venv/ready  ## copy the figures, tables and condensed images of every finished profile to figures/
	for tables in $(RESULTS)/*/tables; do \
		run=$$(dirname $$tables); mkdir -p figures/$$(basename $$run); rm -f figures/$$(basename $$run)/*; \
		cp $$(ls -d $$run/figures/* $$run/condensed_sets.npz* $$run/core_seconds.json $$tables/* 2> /dev/null) \
			figures/$$(basename $$run)/; \
	done
	python -m dcpriv_lib.committed

site: .venv/ready  ## the report's pages in site/, from the notebooks as they are committed; runs nothing
	python -m dcpriv_lib.report

sync: .venv/ready  ## bring each notebook's .py and .ipynb in step
	jupytext --sync notebooks/*.py notebooks/solutions/*.py

clean:  ## delete the environment, not the results
	rm -rf .venv

.venv/ready: requirements.txt pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==0.13.9
	$(BIN)/uv pip install --quiet --python $(BIN)/python -r requirements.txt
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --editable .
	$(BIN)/python -m dcpriv_lib.arithmetic kernel
	touch $@
