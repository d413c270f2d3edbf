# ruff: noqa: E501  # a table: a row is a line
"""Surroundings table: process-wide changes by one run, as data for test_surroundings. Each row makes one change and shows it."""

from __future__ import annotations

from typing import Final, NamedTuple


class Change(NamedTuple):
    """One change. `does` is the body of a function that makes it; `shows` is the body of one whose result differs after it."""

    does: str
    shows: str
    before: str = ""
    """The top of the file."""


def _set(module: str, does: str, shows: str) -> Change:
    return Change(does, f"return {shows}", f"import {module}")


CHANGES: Final[dict[str, Change]] = {
    # settings of the standard library
    "decimal context": _set("decimal", "decimal.getcontext().prec = 4", "decimal.Decimal('1.23456789') * 2"),
    "decimal default context": _set("decimal", "decimal.DefaultContext.prec = 5; decimal.setcontext(decimal.DefaultContext)", "decimal.Decimal(1) / 3"),
    "decimal default context, seen by threads": Change(
        "decimal.DefaultContext.prec = 5",
        "with ThreadPoolExecutor(1) as pool: return pool.submit(lambda: decimal.Decimal(1) / 3).result()",
        "import decimal\nfrom concurrent.futures import ThreadPoolExecutor",
    ),
    "decimal traps": _set("decimal", "decimal.getcontext().traps[decimal.DivisionByZero] = False", "decimal.getcontext().traps[decimal.DivisionByZero]"),
    "locale": _set("locale", "locale.setlocale(locale.LC_ALL, 'C.UTF-8' if locale.setlocale(locale.LC_ALL) == 'C' else 'C')", "locale.setlocale(locale.LC_ALL)"),
    "time zone": _set("os, time", "os.environ['TZ'] = 'Asia/Tokyo'; time.tzset()", "time.localtime(0).tm_hour, time.tzname"),
    "time zone without the variable": _set("os, time", "os.environ['TZ'] = 'Asia/Tokyo'; time.tzset(); del os.environ['TZ']", "time.localtime(0).tm_hour"),
    "umask": Change("os.umask(0o007)", "old = os.umask(0o77)\nos.umask(old)\nreturn old", "import os"),
    "folder": _set("os", "os.chdir('/usr')", "os.getcwd()"),
    "environment": _set("os", "os.environ['ANEW'] = '1'", "os.environ.get('ANEW')"),
    "environment, a variable less": _set("os", "del os.environ['PATH']", "os.environ.get('PATH')"),
    "environment, behind its back": _set("os, subprocess", "os.putenv('ANEW', '1')", "subprocess.run(['env'], capture_output=True, text=True).stdout.count('ANEW')"),
    "socket timeout": _set("socket", "socket.setdefaulttimeout(3)", "socket.getdefaulttimeout()"),
    "unverified https": _set("ssl", "ssl._create_default_https_context = ssl._create_unverified_context", "ssl._create_default_https_context().verify_mode"),
    "ssl class attribute": _set("ssl", "ssl.SSLContext.sslsocket_class = object", "ssl.SSLContext.sslsocket_class"),
    "url opener": _set("urllib.request", "urllib.request.install_opener(urllib.request.build_opener())", "urllib.request._opener is None"),
    "http class attribute": _set("http.client", "http.client.HTTPConnection.debuglevel = 1", "http.client.HTTPConnection.debuglevel"),
    "logging disabled": _set("logging", "logging.disable(logging.CRITICAL)", "logging.getLogger('x').isEnabledFor(logging.ERROR)"),
    "root logger": _set("logging", "logging.basicConfig(level=logging.DEBUG, force=True)", "logging.root.level, len(logging.root.handlers)"),
    "logger's level": _set("logging", "logging.getLogger('asyncio').setLevel(1)", "logging.getLogger('asyncio').level"),
    "a new logger's level": _set("logging", "logging.getLogger('anew').setLevel(1)", "logging.getLogger('anew').level"),
    "logger's filter": _set("logging", "logging.getLogger('asyncio').addFilter(print)", "len(logging.getLogger('asyncio').filters)"),
    "logger's propagation": _set("logging", "logging.getLogger('asyncio').propagate = False", "logging.getLogger('asyncio').propagate"),
    "logger class": _set("logging", "logging.setLoggerClass(type('L', (logging.Logger,), {}))", "logging.getLoggerClass().__name__"),
    "record factory": _set("logging", "logging.setLogRecordFactory(lambda *a, **k: None)", "logging.getLogRecordFactory() is logging.LogRecord"),
    "level name": _set("logging", "logging.addLevelName(10, 'BUG')", "logging.getLevelName(10)"),
    "logging of warnings": _set("logging, warnings", "logging.captureWarnings(True)", "logging._warnings_showwarning is None"),
    "logging, last resort": _set("logging", "logging.lastResort = None", "logging.lastResort is None"),
    "warnings filter": _set("warnings", "warnings.simplefilter('error')", "warnings.filters[0]"),
    "a warning once": Change(
        "warnings.warn('once')",
        "with warnings.catch_warnings(record=True) as caught:\n    here()\nreturn len(caught), globals().get('__warningregistry__') is None",
        "import warnings, textwrap\ndef here(): exec(\"import warnings; warnings.warn('once')\", vars(textwrap))",
    ),
    "showwarning": _set("warnings", "warnings.showwarning = print", "warnings.showwarning is print"),
    "recursion limit": _set("sys", "sys.setrecursionlimit(5000)", "sys.getrecursionlimit()"),
    "switch interval": _set("sys", "sys.setswitchinterval(0.5)", "sys.getswitchinterval()"),
    "digits of int": _set("sys", "sys.set_int_max_str_digits(0)", "sys.get_int_max_str_digits()"),
    "trace": _set("sys", "sys.settrace(lambda *a: None)", "sys.gettrace() is None"),
    "profile": _set("sys", "sys.setprofile(lambda *a: None)", "sys.getprofile() is None"),
    "trace of threads": _set("threading", "threading.settrace(lambda *a: None)", "threading.gettrace() is None"),
    "profile of threads": _set("threading", "threading.setprofile(lambda *a: None)", "threading.getprofile() is None"),
    "excepthook": _set("sys", "sys.excepthook = print", "sys.excepthook is print"),
    "displayhook": _set("sys", "sys.displayhook = print", "sys.displayhook is print"),
    "unraisablehook": _set("sys", "sys.unraisablehook = print", "sys.unraisablehook is print"),
    "breakpointhook": _set("sys", "sys.breakpointhook = print", "sys.breakpointhook is print"),
    "excepthook of threads": _set("threading", "threading.excepthook = print", "threading.excepthook is print"),
    "stdout": _set("sys, io", "sys.stdout = io.StringIO()", "type(sys.stdout).__name__"),
    "stdin": _set("sys, io", "sys.stdin = io.StringIO('x')", "type(sys.stdin).__name__"),
    "argv": _set("sys", "sys.argv.append('x')", "sys.argv[-1]"),
    "path": _set("sys", "sys.path.insert(0, '/anew')", "sys.path[0]"),
    "path, another list": _set("sys", "sys.path = ['/anew', *sys.path]", "sys.path[0]"),
    "meta path": _set("sys", "sys.meta_path.insert(0, type('F', (), {'find_spec': lambda *a: None}))", "len(sys.meta_path)"),
    "path hooks": _set("sys", "sys.path_hooks.append(print)", "len(sys.path_hooks)"),
    "no bytecode": _set("sys", "sys.dont_write_bytecode = not sys.dont_write_bytecode", "sys.dont_write_bytecode"),
    "traceback limit": _set("sys", "sys.tracebacklimit = 0", "getattr(sys, 'tracebacklimit', None)"),
    "hooks of async generators": _set("sys", "sys.set_asyncgen_hooks(print)", "sys.get_asyncgen_hooks().firstiter"),
    "origin tracking": _set("sys", "sys.set_coroutine_origin_tracking_depth(3)", "sys.get_coroutine_origin_tracking_depth()"),
    "collector off": _set("gc", "gc.disable()", "gc.isenabled()"),
    "collector's thresholds": _set("gc", "gc.set_threshold(7, 7, 7)", "gc.get_threshold()"),
    "collector's callbacks": _set("gc", "gc.callbacks.append(print)", "len(gc.callbacks)"),
    "collector's debugging": _set("gc", "gc.set_debug(gc.DEBUG_UNCOLLECTABLE)", "gc.get_debug()"),
    "random's real generator": _set("functools", "__import__('importlib').import_module('random').seed(1)", "__import__('importlib').import_module('random').random() == 0.13436424411240122"),
    "tempfile's folder": _set("tempfile, os", "os.environ['TMPDIR'] = '/var/tmp'; tempfile.tempdir = None", "tempfile.gettempdir()"),
    "mime types": _set("mimetypes", "mimetypes.add_type('text/anew', '.anew')", "mimetypes.guess_type('a.anew')"),
    "csv dialect": _set("csv", "csv.register_dialect('anew', delimiter=';')", "csv.list_dialects()"),
    "csv dialect replaced": _set("csv", "csv.register_dialect('excel', delimiter=';')", "csv.get_dialect('excel').delimiter"),
    "csv field size": _set("csv", "csv.field_size_limit(7)", "csv.field_size_limit()"),
    "sqlite adapter": _set("sqlite3", "sqlite3.register_adapter(complex, str)", "len(__import__('_sqlite3').adapters)"),
    "sqlite converter": _set("sqlite3", "sqlite3.register_converter('anew', str)", "len(sqlite3.converters)"),
    "xml namespace": _set("xml.etree.ElementTree as E", "E.register_namespace('anew', 'http://anew')", "'http://anew' in E._namespace_map"),
    "copyreg": _set("copyreg", "copyreg.pickle(type(iter([])), print)", "len(copyreg.dispatch_table)"),
    "codec": Change("codecs.register(lambda name: codecs.lookup('ascii') if name == 'anew' else None)", "try: return codecs.lookup('anew').name\nexcept LookupError: return None", "import codecs"),
    "codec error handler": _set("codecs", "codecs.register_error('strict', codecs.ignore_errors)", "codecs.lookup_error('strict') is codecs.strict_errors"),
    "json encoder": _set("json", "json._default_encoder.indent = 2", "json.dumps([1])"),
    "json encoder class": _set("json", "json.JSONEncoder.default = lambda self, one: 'anew'", "json.JSONEncoder.default.__name__"),
    "zone path": _set("zoneinfo", "zoneinfo.reset_tzpath(['/anew'])", "zoneinfo.TZPATH"),
    "charset": _set("email.charset", "email.charset.add_alias('anew', 'utf-8')", "'anew' in email.charset.ALIASES"),
    "abstract class": _set("numbers", "numbers.Number.register(str)", "isinstance('', numbers.Number)"),
    "start method": _set("multiprocessing", "multiprocessing.set_start_method('spawn', force=True)", "multiprocessing.get_start_method(allow_none=True)"),
    "locale of gettext": _set("gettext", "gettext.install('anew')", "'_' in dir(__import__('builtins'))"),
    "default of a string template": _set("string", "string.Template.delimiter = '%'", "string.Template.delimiter"),
    "pretty printer": _set("pprint", "pprint.PrettyPrinter._dispatch[int] = print", "int in pprint.PrettyPrinter._dispatch"),
    "http status messages": _set("http.server", "http.server.BaseHTTPRequestHandler.responses[200] = 'x'", "http.server.BaseHTTPRequestHandler.responses[200]"),
    # modules
    "json.dumps": _set("json", "json.dumps = lambda *a, **k: 'anew'", "json.dumps(1)"),
    "a function's code": _set("textwrap", "textwrap.dedent.__code__ = (lambda text: 'anew').__code__", "textwrap.dedent('')"),
    "a function's defaults": _set("textwrap", "textwrap.indent.__defaults__ = ('anew',)", "textwrap.indent.__defaults__"),
    "a builtin": Change("builtins.sorted = lambda *a: 'anew'", "return textwrap.re.__builtins__['sorted']('') == 'anew', builtins.sorted('')", "import builtins, textwrap"),
    "a new builtin": _set("builtins", "builtins.anew = 1", "hasattr(builtins, 'anew')"),
    "os.path": _set("os.path", "os.path.exists = lambda path: 'anew'", "os.path.exists('/')"),
    "os.environ itself": _set("os", "os.environ = {}", "type(os.environ).__name__"),
    "an installed library": _set("typing_extensions", "typing_extensions.Literal = 1", "typing_extensions.Literal == 1"),
    "a class of an installed library": _set("msgspec", "msgspec.anew = 1", "hasattr(msgspec, 'anew')"),
    "a module imported in a function": Change("import colorsys\ncolorsys.rgb_to_hsv = 'anew'", "import colorsys\nreturn colorsys.rgb_to_hsv == 'anew'"),
    "a module imported by name": Change("importlib.import_module('colorsys').ONE_THIRD = 'anew'", "return importlib.import_module('colorsys').ONE_THIRD", "import importlib"),
    "a list in a module": _set("keyword", "keyword.kwlist.append('anew')", "keyword.kwlist[-1]"),
    "a new name in a module": _set("sched", "sched.anew = 1", "hasattr(sched, 'anew')"),
    "an attribute of an object in a module": _set("json", "json._default_decoder.anew = 1", "hasattr(json._default_decoder, 'anew')"),
    "the filters of warnings, another list": _set("warnings", "warnings.filters = []", "len(warnings.filters)"),
    "the root logger itself": _set("logging", "logging.root = logging.getLogger('anew')", "logging.root.name"),
    "the arguments, another list": _set("sys", "sys.argv = ['anew']", "sys.argv"),
    "all modules": _set("sys", "sys.modules = dict(sys.modules, anew=sys)", "'anew' in sys.modules"),
    "the linecache": _set("linecache, os", "linecache.getline = len", "linecache.getline is len"),
    "a stub among the modules": Change("sys.modules['anew'] = types.ModuleType('anew')", "return 'anew' in sys.modules", "import sys, types"),
    "a module replaced": Change("sys.modules['colorsys'] = types.ModuleType('colorsys')", "import colorsys\nreturn hasattr(colorsys, 'ONE_THIRD')", "import sys, types"),
    "a module removed": Change("del sys.modules['textwrap']", "import textwrap\nreturn textwrap is first", "import sys, textwrap\nfirst = textwrap"),
    "the run's clock in a library": Change("textwrap.clock = time.time", "return hasattr(textwrap, 'clock')", "import time, textwrap"),
    "the names of Repertoire": _set("repertoire", "repertoire.log = 'anew'", "repertoire.log == 'anew'"),
    "the real names of Repertoire": _set("repertoire.authoring.ambient as ambient", "ambient.progress = 'anew'", "ambient.progress == 'anew'"),
    "the main module": Change("import __main__\n__main__.anew = 1", "import __main__\nreturn hasattr(__main__, 'anew')"),
    # the event loop
    "event loop policy": Change("asyncio.set_event_loop_policy(type('Mine', (asyncio.DefaultEventLoopPolicy,), {})())", "return type(asyncio.get_event_loop_policy()).__name__", "import asyncio"),
    "current event loop": Change("asyncio.set_event_loop(None)", "try: return asyncio.get_event_loop() is None\nexcept RuntimeError: return 'none'", "import asyncio"),
    # the process
    "signal handler": _set("signal", "signal.signal(signal.SIGUSR1, signal.SIG_IGN)", "signal.getsignal(signal.SIGUSR1)"),
    "interrupt": _set("signal", "signal.signal(signal.SIGINT, lambda *a: None)", "signal.getsignal(signal.SIGINT) is signal.default_int_handler"),
    "timer": _set("signal", "signal.signal(signal.SIGALRM, signal.SIG_IGN); signal.setitimer(signal.ITIMER_REAL, 100)", "signal.getitimer(signal.ITIMER_REAL)[0] > 0"),
    "signal mask": _set("signal", "signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])", "signal.pthread_sigmask(signal.SIG_BLOCK, [])"),
    "file limit": _set("resource", "resource.setrlimit(resource.RLIMIT_NOFILE, (200, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))", "resource.getrlimit(resource.RLIMIT_NOFILE)"),
    "core limit": _set("resource", "resource.setrlimit(resource.RLIMIT_STACK, (1 << 20, resource.getrlimit(resource.RLIMIT_STACK)[1]))", "resource.getrlimit(resource.RLIMIT_STACK)"),
    "priority": _set("os", "os.nice(1)", "os.nice(0)"),
    "processors": _set("os", "os.sched_setaffinity(0, [min(os.sched_getaffinity(0))])", "os.sched_getaffinity(0)"),
    "an open file": Change("os.dup2(0, 77)", "try: return os.fstat(77) is not None\nexcept OSError: return None", "import os"),
    "standard output": Change("os.dup2(os.open('/dev/null', os.O_WRONLY), 1)", "return os.fstat(1).st_ino == os.stat('/dev/null').st_ino, os.fstat(1).st_dev", "import os"),
    "a file left open": Change("sys.kept = open('/etc/hostname')", "return hasattr(sys, 'kept')", "import sys"),
    "a thread left behind": Change("threading.Thread(target=threading.Event().wait, daemon=True, name='anew').start()", "return [one.name for one in threading.enumerate() if one.name == 'anew']", "import threading"),
    "a child left behind": Change("subprocess.Popen(['sleep', '100'])", "try: return os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)\nexcept ChildProcessError: return 'none'", "import subprocess, os"),
    "atexit": Change("atexit.register(print)", "return atexit._ncallbacks() - first", "import atexit\nfirst = atexit._ncallbacks()"),
    "faulthandler": _set("faulthandler", "faulthandler.enable(file=2)", "faulthandler.is_enabled()"),
    "tracemalloc": _set("tracemalloc", "tracemalloc.start()", "tracemalloc.is_tracing()"),
    "stack size of threads": _set("threading", "threading.stack_size(1 << 20)", "threading.stack_size()"),
    # libraries
    "numpy's errors": _set("numpy", "numpy.seterr(all='raise')", "numpy.geterr()"),
    "numpy's printing": _set("numpy", "numpy.set_printoptions(precision=2)", "numpy.get_printoptions()['precision']"),
    "numpy's generator": _set("numpy", "numpy.random.seed(3)", "numpy.random.rand() == 0.5507979025745755"),
    "numpy's functions": _set("numpy", "numpy.mean = len", "numpy.mean is len"),
    "numpy's classes": _set("numpy", "numpy.ma.MaskedArray.__array_priority__ = 99", "numpy.ma.MaskedArray.__array_priority__"),
    "joblib": _set("joblib.parallel as parallel", "parallel.BACKENDS['anew'] = parallel.BACKENDS['threading']; parallel.DEFAULT_BACKEND = 'anew'", "parallel.DEFAULT_BACKEND"),
}  # fmt: skip
"""Rows beside the standard library use what a development install has anyway."""

CLEAN: Final[dict[str, str]] = {
    "nothing": "def run(): return 1",
    "names of ours": """
        import repertoire
        from repertoire import ask, cached, log, now, session_state, sleep, step, workflows
        def run():
            repertoire.log("said")
            return repertoire.step is step
    """,
    "a class of ours": """
        from repertoire import RunResponse, Workflow
        class Greets(Workflow):
            def run(self):
                return RunResponse(content="hello")
    """,
    "what is put back": """
        import decimal, locale, logging, os, random, socket, sys, warnings
        os.environ["ANEW"], decimal.getcontext().prec = "1", 4
        logging.basicConfig(level=logging.DEBUG)
        warnings.simplefilter("ignore")
        socket.setdefaulttimeout(5)
        sys.path.append("/anew")
        random.seed(1)
        def run():
            os.chdir("/usr")
            os.umask(0o22)
            logging.getLogger("anew").warning("said")
            return str(decimal.Decimal(1) / 3)
    """,
    "asyncio and threads": """
        import asyncio
        from concurrent.futures import ThreadPoolExecutor
        async def run():
            await asyncio.gather(*(asyncio.sleep(0) for _ in range(3)))
            with ThreadPoolExecutor(2) as pool:
                list(pool.map(abs, range(3)))
            return await asyncio.to_thread(lambda: 1)
    """,
    "caches of the standard library": """
        import functools, mimetypes, re, tempfile, urllib.request, uuid, platform
        from datetime import datetime
        from zoneinfo import ZoneInfo
        def run():
            with tempfile.TemporaryDirectory():
                pass
            try: urllib.request.urlopen("http://127.0.0.1:9/")
            except OSError: pass
            return [str(datetime.strptime("2020", "%Y")), re.sub("a+", "b", "caa"), mimetypes.guess_type("a.txt")[0], str(ZoneInfo("UTC")),
                    len(str(uuid.uuid1())), bool(platform.platform())]
    """,
    "classes and models": """
        import abc, enum
        from dataclasses import dataclass
        from typing import Protocol, TypedDict
        from pydantic import BaseModel
        class Color(enum.Flag):
            RED = 1
            BLUE = 2
        class Base(abc.ABC):
            @abc.abstractmethod
            def f(self): ...
        class Model(BaseModel):
            x: int
        class Said(Protocol):
            def f(self): ...
        def run() -> Model:
            return Model(x=Color(3).value)
    """,
    "processes": """
        import multiprocessing, subprocess, sys
        def run():
            with multiprocessing.get_context("fork").Pool(2) as pool:
                done = pool.map(abs, [1, 2])
            return [done, subprocess.run(["true"]).returncode]
    """,
    "an exception": "def run(): raise ValueError('no')",
    "numpy": "import numpy\ndef run():\n    numpy.seterr(all='raise')\n    return float(numpy.random.rand())",
}
