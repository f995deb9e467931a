#!/usr/bin/python3
"""Equality with the Python peers, explainer by explainer and model by model: runs the parity tests of a build and prints what
they measured as a table.

Usage: tests/bench/parity.py BUILD > analysis/results/parity.md    (BUILD: a build folder with the tests in it)
The fixtures of real and larger nets are found in $WHYPIX_DATA; without it the committed references remain."""
import pathlib
import re
import subprocess
import sys

PROGRAMS = ("explain_parity", "explain_parity_gradients", "explain_parity_deep", "explain_blackbox")
LINE = re.compile(r"^  (.+?) +r (-?[0-9.]+|nan), \|difference\| ([0-9.e+-]+|nan|inf) of the range")
MODELS = ("committed nets", "tinyvgg_pug", "tinyresnet_zebra", "tinydense_espresso", "squeezenet_tabby")
# What a line begins with, and whose it is and of which peer. The first that fits counts.
EXPLAINERS = (
    ("lime", "lime", "lime 0.2"), ("shap_part", "shap_partition", "shap 0.49.1"),
    ("shap_kernel|kernel_", "shap_kernel", "shap 0.49.1"), ("shap_permutation", "shap_permutation", "shap 0.49.1"),
    ("shap_exact", "shap_exact", "shap 0.49.1"), ("shap_gradient", "shap_gradient", "shap 0.49.1, captum 2025-10"),
    ("shap_deep", "shap_deep", "complete rule (oracle)"), ("deeplift", "deeplift", "captum 2025-10"),
    ("occlusion", "occlusion", "captum 2025-10"), ("rise", "rise", "published code"),
    (r"(cam_)?gradcam(\+\+|pp)", "gradcam++", "pytorch-grad-cam"), ("(cam_)?gradcam|channel weights|map of the layer", "gradcam", "pytorch-grad-cam"),
    *((f"(cam_)?{m}", m, "pytorch-grad-cam") for m in ("xgradcam", "hirescam", "layercam", "eigencam", "eigengradcam", "scorecam", "ablationcam")),
    *((f"(grad_)?{m}", m, "captum 2025-10") for m in ("saliency", "input_x_gradient", "integrated_gradients", "smoothgrad", "guided_backprop")),
)


def measured(build):
    """(model, what, r, difference) of every line; a line names its folder, or else the running test does."""
    for program in PROGRAMS:
        path = pathlib.Path(build, "tests", program)
        done = subprocess.run([path], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=600)
        if done.returncode:
            sys.exit(f"{path}: failed\n{done.stdout}")
        test = ""
        for line in done.stdout.splitlines():
            if line.startswith("[ RUN"):
                test = line.split()[-1]
            found = LINE.match(line)
            if not found:
                continue
            what = found[1]
            model = next((m for m in MODELS if m in what or test.startswith(m.split("_")[0])), MODELS[0])
            what = re.sub(r"^(explain|" + "|".join(MODELS[1:]) + r")  *", "", what)
            yield model, what, float(found[2]), float(found[3])


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    table, peer = {}, {}
    for model, what, r, difference in measured(sys.argv[1]):
        name, of = next(((n, p) for begin, n, p in EXPLAINERS if re.match(begin, what)), (None, None))
        if not name:
            sys.exit(f"'{what}': no explainer's line that this program knows")
        peer[name] = of
        cell = table.setdefault(name, {}).setdefault(model, [])
        cell.append((difference, r))
    order = [n for _, n, _ in EXPLAINERS if n in table]
    print("# Equality with the reference implementations\n")
    print("Largest |difference| over the range of the reference map, and in brackets the number of maps or coefficient vectors compared")
    print("(classes, fills, budgets, options). Segments, masks and other draws are the reference's own where a method is random.")
    print("Asked for: Pearson at least 0.9999 and at most 1e-3 of the range.\n")
    print(f"`WHYPIX_DATA=... tests/bench/parity.py build > analysis/results/parity.md`; whypix {version()}\n")
    print("| explainer | reference | " + " | ".join(MODELS) + " | lowest r |")
    print("| --- | --- |" + " --- |" * (len(MODELS) + 1))
    for name in order:
        cells = [table[name].get(m) for m in MODELS]
        text = [f"{max(c)[0]:.1e} ({len(c)})" if c else "" for c in cells]
        print(f"| `{name}` | {peer[name]} | " + " | ".join(text) + f" | {min(r for c in cells if c for _, r in c):.7f} |")


def version():
    source = pathlib.Path(__file__).resolve().parents[2]
    git = ["git", "-C", str(source), "rev-parse", "--short", "HEAD"]
    return subprocess.run(git, capture_output=True, text=True).stdout.strip() or "from an archive"


main()
