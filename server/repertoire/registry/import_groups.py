"""Import groups: tables of the modules that created code has no use for, each with a reason and a substitute, and of the packages that it may
import; used by `Importable`."""

from __future__ import annotations

from typing import Final, NamedTuple


class Group(NamedTuple):
    """Modules that are refused for one reason. `instead` is a sentence that names the substitute. Names may be dotted."""

    reason: str
    instead: str
    standard: str = ""
    """Of the standard library."""
    installed: str = ""
    """Of packages that workflow files often import."""

    @property
    def modules(self) -> list[str]:
        return [*self.standard.split(), *self.installed.split()]


GROUPS: Final = (
    Group(
        "created code has no network",
        "Call tools.fetch(url=...), or another tool: search_tools(query) finds it.",
        "asynchat asyncore ftplib http.client http.cookiejar http.server imaplib nntplib poplib smtpd smtplib socket socketserver ssl "
        "telnetlib urllib.request urllib.robotparser wsgiref xmlrpc",
        "aiohttp arxiv boto3 botocore ddgs dns duckduckgo_search exa_py fastmcp firecrawl github googleapiclient googlesearch grpc h11 "
        "httpcore httpcore2 httpx httpx2 mcp newspaper paramiko playwright praw requests scrapy selenium slack_sdk tavily tweepy urllib3 "
        "websocket websockets wikipedia yfinance youtube_transcript_api zmq",
    ),
    Group(
        "created code has no network, and serves nobody",
        "The workflow is the tool: return the value from run(...).",
        "",
        "django fastapi flask gradio sanic starlette streamlit tornado uvicorn",
    ),
    Group(
        "created code has no network, and no keys of models",
        "Ask a model with an agent: from repertoire import Agent.",
        "",
        "anthropic cohere crewai google.genai google.generativeai groq huggingface_hub langchain litellm llama_index mistralai ollama "
        "openai pydantic_ai transformers",
    ),
    Group(
        "created code has no network, so it reaches no database",
        "Call a tool that reaches it: search_tools(query) finds it. Or use sqlite3, for a database that lives as long as the run.",
        "",
        "asyncpg chromadb cx_Oracle MySQLdb psycopg psycopg2 pymongo pymysql qdrant_client redis sqlalchemy sqlmodel",
    ),
    Group(
        "created code starts no processes",
        "Use threads (concurrent.futures.ThreadPoolExecutor) or asyncio. For a program call a tool: search_tools(query) finds it.",
        "asyncio.subprocess concurrent.futures.ProcessPoolExecutor concurrent.futures.process concurrent.interpreters multiprocessing "
        "pipes pty subprocess",
        "celery dask docker git invoke pexpect plumbum psutil ray sh",
    ),
    Group(
        "created code calls no native functions, and cannot change its limits",
        "Write it in Python.",
        "ctypes resource",
        "cffi cppyy llvmlite numba",
    ),
    Group(
        "a run has no terminal and no screen",
        "Ask a person with ask(question). Tell what goes on with log and progress(done, total).",
        "antigravity cmd code curses getpass idlelib msvcrt ossaudiodev pdb readline rlcompleter termios tkinter tty turtle turtledemo "
        "webbrowser winsound",
        "IPython inquirer prompt_toolkit pygame questionary tqdm",
    ),
    Group(
        "created code does not see the users, devices and settings of this machine",
        "Give run(...) a parameter for what it needs.",
        "fcntl grp msilib netrc nis nt posix pwd spwd syslog winreg",
        "dotenv keyring pydantic_settings",
    ),
    Group(
        "only the person who runs this server installs packages",
        "Import what is there, or tell that person what is missing.",
        "distutils ensurepip lib2to3 site venv zipapp",
        "pip pkg_resources setuptools virtualenv",
    ),
    Group(
        "it is for programs outside of Repertoire",
        "Call workflows.NAME(argument=...).",
        "",
        "repertoire_client",
    ),
)  # fmt: skip

PRIVATE: Final = Group("it is a private module of Python", "Import the public module.")
REMOVED: Final = Group("the setting `packages` of this server excludes it", "Write it without.")
UNLISTED: Final = Group(
    "it is not among the packages that created code may import",
    "Write it without, or tell the person who runs this server, who can list it in the setting `packages`.",
)

_LISTED: Final = """
    numpy pandas polars pyarrow scipy sklearn sympy networkx statsmodels pydantic msgspec attrs attr yaml bs4 lxml openpyxl dateutil
    jinja2 regex rich tabulate markdown PIL matplotlib annotated_types anyio arrow babel bitarray brotli cachetools cattrs
    charset_normalizer chardet cssselect deepdiff docx duckdb html5lib humanize icalendar inflect jmespath joblib jsonpath_ng jsonschema
    lark lz4 markdown_it markupsafe marshmallow mistune more_itertools mpmath narwhals orjson packaging pendulum phonenumbers pint
    plotly pptx pydantic_core pygments pypdf pyparsing pytz qrcode rapidfuzz reportlab seaborn semver shapely simplejson slugify
    sortedcontainers soupsieve sqlglot sqlparse toml tomli tomlkit toolz typing_extensions tzdata ujson ulid unidecode xarray xlrd
    xlsxwriter xmltodict xxhash zstandard
"""
PACKAGES: Final = tuple(_LISTED.split())
"""Packages that need no network, no processes and no files outside of the run's own folder, by the names that are imported; those that
workflows often use first. They may be missing here."""
