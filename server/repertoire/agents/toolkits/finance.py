"""Finance: `YFinanceTools` over the package `yfinance`, and `FinancialDatasetsTools` over HTTP with a key. Used by workflow files."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from .toolkit import Toolkit, as_text, key, package, request_json

_DATASETS: Final = "https://api.financialdatasets.ai"
_COMPANY: Final = """
    shortName longName symbol currentPrice currency marketCap sector industry address1 city state zip country website
    longBusinessSummary fullTimeEmployees trailingEps trailingPE fiftyTwoWeekLow fiftyTwoWeekHigh fiftyDayAverage twoHundredDayAverage
    totalCash freeCashflow operatingCashflow ebitda revenueGrowth grossMargins ebitdaMargins recommendationKey numberOfAnalystOpinions
"""
_FUNDAMENTALS: Final = """
    symbol longName sector industry marketCap trailingPE forwardPE priceToBook dividendYield trailingEps beta
    fiftyTwoWeekHigh fiftyTwoWeekLow
"""


class YFinanceTools(Toolkit):
    """Reads prices and figures of companies, by the package `yfinance`.

    Args:
        stock_price, company_info, stock_fundamentals, income_statements, key_financial_ratios, analyst_recommendations, company_news,
            technical_indicators, historical_prices: True to give the agent this function.
        enable_all: True to give the agent all of them.
        session: The HTTP session that yfinance uses.
        options: The options of every toolkit.
    """

    def __init__(
        self,
        stock_price: bool = True,
        company_info: bool = False,
        stock_fundamentals: bool = False,
        income_statements: bool = False,
        key_financial_ratios: bool = False,
        analyst_recommendations: bool = False,
        company_news: bool = False,
        technical_indicators: bool = False,
        historical_prices: bool = False,
        enable_all: bool = False,
        session: Any = None,
        **options: Any,
    ) -> None:
        self._session = session
        offered: list[tuple[bool, Callable[..., str]]] = [
            (stock_price, self.get_current_stock_price),
            (company_info, self.get_company_info),
            (stock_fundamentals, self.get_stock_fundamentals),
            (income_statements, self.get_income_statements),
            (key_financial_ratios, self.get_key_financial_ratios),
            (analyst_recommendations, self.get_analyst_recommendations),
            (company_news, self.get_company_news),
            (technical_indicators, self.get_technical_indicators),
            (historical_prices, self.get_historical_stock_prices),
        ]
        super().__init__("yfinance_tools", [one for wanted, one in offered if wanted or enable_all], **options)

    def get_current_stock_price(self, symbol: str) -> str:
        """The current price of a stock, by its symbol."""
        info = self._ticker(symbol).info
        price = info.get("regularMarketPrice", info.get("currentPrice"))
        return f"{price:.4f}" if price else f"There is no current price for {symbol}"

    def get_company_info(self, symbol: str) -> str:
        """The profile of a company, by its symbol: business, figures, opinions of analysts."""
        return self._facts(symbol, _COMPANY)

    def get_stock_fundamentals(self, symbol: str) -> str:
        """The fundamental figures of a stock: market value, ratios, dividend, range of the year."""
        return self._facts(symbol, _FUNDAMENTALS)

    def get_income_statements(self, symbol: str) -> str:
        """The income statements of a company, as JSON."""
        return str(self._ticker(symbol).financials.to_json(orient="index"))

    def get_key_financial_ratios(self, symbol: str) -> str:
        """All figures that are known of a stock, as JSON."""
        return as_text(self._ticker(symbol).info)

    def get_analyst_recommendations(self, symbol: str) -> str:
        """How many analysts advise to buy, hold or sell a stock, month by month."""
        return str(self._ticker(symbol).recommendations.to_json(orient="index"))

    def get_company_news(self, symbol: str, num_stories: int = 3) -> str:
        """The latest news about a company."""
        return as_text(self._ticker(symbol).news[: max(1, num_stories)])

    def get_technical_indicators(self, symbol: str, period: str = "3mo") -> str:
        """The prices of the period with the averages of 20 and 50 days. Periods: 1mo, 3mo, 6mo, 1y, 2y, 5y."""
        prices = self._ticker(symbol).history(period=period)
        for days in (20, 50):
            prices[f"average_{days}"] = prices["Close"].rolling(days).mean()
        return str(prices.to_json(orient="index", date_format="iso"))

    def get_historical_stock_prices(self, symbol: str, period: str = "1mo", interval: str = "1d") -> str:
        """The prices of the period. Periods: 1d, 5d, 1mo, 3mo, 6mo, 1y, 5y, max; intervals: 1d, 5d, 1wk, 1mo."""
        return str(
            self._ticker(symbol).history(period=period, interval=interval).to_json(orient="index", date_format="iso")
        )

    def _ticker(self, symbol: str) -> Any:
        return package("yfinance", "yfinance", "YFinanceTools").Ticker(symbol, session=self._session)

    def _facts(self, symbol: str, names: str) -> str:
        info = self._ticker(symbol).info
        return as_text(
            {name: info[name] for name in names.split() if info.get(name) is not None}
            or f"Nothing is known of {symbol}"
        )


class FinancialDatasetsTools(Toolkit):
    """Reads statements and prices from financialdatasets.ai, with the key FINANCIAL_DATASETS_API_KEY.

    Args:
        api_key: The key; by default that of the environment.
        options: The options of every toolkit; flags that choose functions are accepted, and all functions are given.
    """

    def __init__(self, api_key: str | None = None, **options: Any) -> None:
        self._key = api_key
        chosen: list[Callable[..., str]] = [
            self.get_income_statements, self.get_balance_sheets, self.get_cash_flow_statements, self.get_company_info,
            self.get_stock_prices, self.get_company_news,
        ]  # fmt: skip
        super().__init__("financial_datasets_tools", chosen, **options)

    def get_income_statements(self, ticker: str, period: str = "annual", limit: int = 10) -> str:
        """The income statements of a company. Periods: annual, quarterly, ttm."""
        return self._ask("financials/income-statements", ticker=ticker, period=period, limit=limit)

    def get_balance_sheets(self, ticker: str, period: str = "annual", limit: int = 10) -> str:
        """The balance sheets of a company. Periods: annual, quarterly, ttm."""
        return self._ask("financials/balance-sheets", ticker=ticker, period=period, limit=limit)

    def get_cash_flow_statements(self, ticker: str, period: str = "annual", limit: int = 10) -> str:
        """The cash flow statements of a company. Periods: annual, quarterly, ttm."""
        return self._ask("financials/cash-flow-statements", ticker=ticker, period=period, limit=limit)

    def get_company_info(self, ticker: str) -> str:
        """The profile of a company."""
        return self._ask("company/facts", ticker=ticker)

    def get_stock_prices(
        self, ticker: str, start_date: str, end_date: str, interval: str = "day", limit: int = 100
    ) -> str:
        """The prices of a stock between two dates, written as 2025-01-31."""
        asked = {"start_date": start_date, "end_date": end_date, "interval": interval, "interval_multiplier": 1}
        return self._ask("prices", ticker=ticker, limit=limit, **asked)

    def get_company_news(self, ticker: str, limit: int = 10) -> str:
        """The latest news about a company."""
        return self._ask("news", ticker=ticker, limit=limit)

    def _ask(self, path: str, **query: Any) -> str:
        secret = key(self._key, "FINANCIAL_DATASETS_API_KEY", "FinancialDatasetsTools")
        return as_text(request_json(f"{_DATASETS}/{path}/", query=query, headers={"X-API-KEY": secret}))
