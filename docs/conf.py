"""How Sphinx makes the site; `make_site.py` lays out what it reads and calls it."""

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
# Before anything of the library: without it signatures say Tensor, and the docstrings say the shapes.
sys.modules["jaxtyping"] = None
import pages
from PIL import ImageDraw

import mzsr_lib

project = "MZSR"
author = "The mzsr-tutorial authors"
copyright = author
version = release = mzsr_lib.__version__
language = "en"

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.mathjax",
    "sphinx_codeautolink",
    "sphinx_copybutton",
    "sphinx_design",
]
html_static_path = ["static"]

# Pages: from stored outputs, with the mathematics of a MathJax that lies beside them.
nb_execution_mode = "off"
nb_ipywidgets_js = {}
nb_render_markdown_format = "myst"
nb_merge_streams = True
myst_enable_extensions = ["dollarmath", "amsmath", "colon_fence", "html_image"]
myst_heading_anchors = 3
mathjax_path = "mathjax/tex-chtml.js"
mathjax_options = {"defer": "defer"}
# A dollar in code is a dollar; the menu of MathJax would load parts that are not here.
mathjax3_config = {"options": {"enableMenu": False}}
suppress_warnings = [
    "config.cache",  # the function of codeautolink below
    "ref.python",  # words such as `kernel`, of which the library has several
    "codeautolink.match_block",  # an example whose remark for doctest is not shown
]
copybutton_selector = "div.cell_input div.highlight pre, div.highlight-bash pre"

# The library: what its docstrings say.
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_preserve_defaults = True
napoleon_google_docstring = False
napoleon_use_rtype = False
napoleon_use_ivar = True
python_maximum_signature_line_length = 88
add_module_names = False
autodoc_default_options = {"exclude-members": "set"}  # what matplotlib adds to each of its classes
codeautolink_concat_default = True
codeautolink_custom_blocks = {"ipython3": "sphinx_codeautolink.clean_ipython"}
# An annotation there names what only a type checker knows, and codeautolink would look it up.
ImageDraw.__annotations__.clear()

html_theme = "sphinx_book_theme"
html_title = "MZSR"
html_favicon = "static/favicon.svg"
html_context = {"default_mode": "auto"}
html_css_files = ["site.css"]
html_js_files = [("explorers.js", {"type": "module"}), ("mzsr.js", {"type": "module"})]
html_search_scorer = str(Path(__file__).parent / "scorer.js")
html_copy_source = True
html_sourcelink_suffix = ""
html_last_updated_fmt = None
html_theme_options = {
    "navbar_start": [],
    "navbar_center": [],
    "navbar_end": [],
    "navbar_persistent": [],
    "show_toc_level": 2,
    "navigation_with_keys": False,
    "use_download_button": True,
    "use_fullscreen_button": False,
    "back_to_top_button": False,  # it would lie on the text
    "pygments_light_style": "a11y-high-contrast-light",
    "pygments_dark_style": "a11y-high-contrast-dark",
}
if os.environ.get("MZSR_REPOSITORY"):
    html_theme_options |= {
        "repository_url": f"https://github.com/{os.environ['MZSR_REPOSITORY']}",
        "repository_branch": os.environ.get("MZSR_BRANCH", "main"),
        "use_repository_button": True,
        "launch_buttons": {"colab_url": "https://colab.research.google.com", "binderhub_url": "https://mybinder.org"},
    }


def setup(app):
    """Let every notebook pass through `pages.prepared` before it is read."""

    def prepare(app, name, source):
        if name.startswith("notebooks/"):
            source[0] = pages.prepared(source[0], with_network=(app.srcdir / "_static" / "mzsr").is_dir())

    app.connect("source-read", prepare)
    app.config.html_static_path.append(str(app.srcdir / "_static"))  # what make_site.py laid out
