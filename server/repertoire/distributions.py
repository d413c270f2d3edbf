"""Distributions: the names on PyPI of the packages that workflow files import most, by the names of their modules.

A module's name says nothing about its distribution: `phi` on PyPI is a library of strangers. So no other name is ever advised. Used by
the reports of missing modules, in the worker and in the review.
"""

from __future__ import annotations

from typing import Final

_OTHER: Final = {
    "agno": "agno<2", "attr": "attrs", "bs4": "beautifulsoup4", "buddy": "buddy-ai", "cv2": "opencv-python", "dateutil": "python-dateutil",
    "docx": "python-docx",
    "dotenv": "python-dotenv", "email_validator": "email-validator", "faiss": "faiss-cpu", "firecrawl": "firecrawl-py", "fitz": "pymupdf",
    "git": "gitpython", "github": "PyGithub", "googleapiclient": "google-api-python-client", "googlesearch": "googlesearch-python",
    "jose": "python-jose", "jwt": "pyjwt", "magic": "python-magic", "markdown_it": "markdown-it-py",
    "multipart": "python-multipart", "newspaper": "newspaper4k",
    "openssl": "pyopenssl", "phi": "phidata", "pil": "pillow", "pptx": "python-pptx", "psycopg2": "psycopg2-binary",
    "pydantic_settings": "pydantic-settings", "pypdf2": "pypdf2", "serial": "pyserial", "skimage": "scikit-image", "sklearn": "scikit-learn",
    "slack_sdk": "slack-sdk", "slugify": "python-slugify", "sentence_transformers": "sentence-transformers", "tavily": "tavily-python",
    "yaml": "pyyaml", "ulid": "python-ulid", "youtube_transcript_api": "youtube-transcript-api",
}  # fmt: skip
"""By the module's name in lower case."""
_SAME_TEXT: Final = """
    aiofiles aiohttp annotated_types anthropic anyio arrow arxiv asyncpg attrs babel bitarray boto3 brotli cachetools cattrs chardet
    charset_normalizer chromadb click cssselect ddgs deepdiff docker duckdb exa_py fastapi feedparser flask groq gspread html5lib httpx
    humanize icalendar inflect jinja2 jmespath joblib jsonpath_ng jsonschema langchain lark loguru lxml lz4 markdown markupsafe
    marshmallow matplotlib mistralai mistune more_itertools mpmath msgspec narwhals networkx nltk numpy ollama openai openpyxl orjson
    packaging pandas paramiko pendulum phonenumbers pillow pint playwright plotly polars praw prefect psutil psycopg pyarrow pydantic
    pydantic_ai pydantic_core pygments pymongo pyparsing pypdf pytesseract pytest pytz qdrant_client qrcode rapidfuzz redis regex
    reportlab requests resend rich scipy seaborn selenium semver shapely simplejson sortedcontainers soupsieve sqlalchemy sqlglot
    sqlmodel sqlparse statsmodels streamlit sympy tabulate tenacity tiktoken toml tomli tomlkit toolz torch tqdm transformers typer
    typing_extensions tzdata ujson unidecode uvicorn websockets xarray xlrd xlsxwriter xmltodict xxhash yfinance zstandard
"""
_SAME: Final = frozenset(_SAME_TEXT.split())
"""Modules whose distribution has the same name."""


def distribution_of(module: str) -> str | None:
    """The distribution to install for a module; None if we do not know it."""
    first = module.partition(".")[0]
    if (other := _OTHER.get(first.lower())) is not None:
        return other
    return first.replace("_", "-") if first.lower() in _SAME else None
