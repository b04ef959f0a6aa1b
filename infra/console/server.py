"""The console's web server: pages and their files, for the loopback interface and for reading only.

Everything that a page shows is in its address, so that a link shows others the same. A page asks for itself
again every few seconds; it carries no script of its own and none is allowed in it.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path
from typing import Any

import uvicorn
from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from config.settings import Settings
from infra.console import HOST, ConsoleError, figures
from infra.console.definitions import DefinitionsReader, Known
from infra.console.pages import (
    EXPERIMENTS_SHOWN,
    Answers,
    TenantList,
    chosen_reading,
    definition_of,
    experiment_page,
    tenant_list,
)
from infra.console.queries import Query
from infra.console.source import Answer, Source
from infra.console.state import State, UnknownStateError
from infra.freshness import TENANT as PROBE_TENANT
from schemas.event_lines import TENANT_ID

FOLDER = Path(__file__).resolve().parent
NEVER_ASKED = Answer()

HEADERS = {
    b"content-security-policy": b"; ".join(
        (
            b"default-src 'none'",
            b"script-src 'self'",
            b"style-src 'self'",
            b"img-src 'self'",
            b"connect-src 'self'",
            b"base-uri 'none'",
            b"form-action 'self'",
            b"frame-ancestors 'none'",
        )
    ),
    b"x-content-type-options": b"nosniff",
    b"referrer-policy": b"same-origin",
    b"cross-origin-opener-policy": b"same-origin",
}

Load = Callable[[], Settings]


def application(
    load: Load,
    *,
    tenant: str = "",
    definitions: Callable[[], Known] | None = None,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> Starlette:
    """The pages over one ClickHouse.

    Args:
        load: The settings, read anew for every connection.
        tenant: The only one that is shown; empty is every one.
        definitions: Stands in for the definitions topic.
        now: Stands in for the clock.
    """
    pages = _Pages(Source(load), definitions or DefinitionsReader(load), tenant, now)
    return Starlette(
        routes=[
            Route("/", pages.tenants),
            Route("/health", _health),
            Route("/tenants/{tenant}", pages.tenant),
            Route("/tenants/{tenant}/experiment", pages.experiment),
            Mount("/static", StaticFiles(directory=FOLDER / "static")),
        ],
        exception_handlers={
            UnknownStateError: pages.refused,
            HTTPException: pages.refused,
            _NowhereError: pages.nowhere,
        },
        middleware=[
            Middleware(_Headers),
            # A name that some page of the internet gave this machine is none of ours.
            Middleware(TrustedHostMiddleware, allowed_hosts=[HOST, "localhost", "testserver"]),
        ],
    )


def listening_socket(port: int) -> socket.socket:
    """A socket on the loopback interface; port 0 is any free one.

    Raises:
        ConsoleError: Somebody listens there.
    """
    found = socket.socket()
    found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        found.bind((HOST, port))
    except OSError as error:
        found.close()
        raise ConsoleError(
            f"{HOST}:{port} is taken ({error.strerror}); the stack's own console may run there, "
            "else set LIVELIFT_CONSOLE_PORT or --port"
        ) from error
    return found


def serve(load: Load, listening: socket.socket, *, tenant: str = "") -> None:
    """Answer until the process is told to end."""
    config = uvicorn.Config(
        application(load, tenant=tenant), log_level="warning", access_log=False, server_header=False
    )
    uvicorn.Server(config).run(sockets=[listening])


def _health(request: Request) -> Response:
    return PlainTextResponse("Ok.\n")


class _NowhereError(Exception):
    """An experiment or a tenant that nobody has defined and nothing is counted of; one line that names it."""

    def __init__(self, words: str, tenant: str = "") -> None:
        super().__init__(words)
        self.tenant = tenant
        """Whose experiments are listed instead; empty is everyone's."""


class _Pages:
    """The handlers; they run in threads, because they wait for ClickHouse."""

    def __init__(
        self,
        source: Source,
        definitions: Callable[[], Known],
        tenant: str,
        now: Callable[[], datetime],
    ) -> None:
        self._source = source
        self._definitions = definitions
        self._tenant = tenant
        self._now = now
        self._templates = Environment(
            loader=FileSystemLoader(FOLDER / "templates"),
            autoescape=select_autoescape(default=True),
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._templates.globals["figures"] = figures
        self._templates.filters |= {"told": figures.told, "plain": figures.plain}

    def tenants(self, request: Request) -> Response:
        """Every tenant and its experiments."""
        if self._tenant:
            return RedirectResponse(f"/tenants/{self._tenant}")
        found, known = self._source.ask(Query.TENANTS), self._definitions()
        tenants = {row["tenant_id"] for row in found.rows} | {owner for owner, _ in known.definitions}
        lists = [
            self._list(tenant, self._headlines(tenant), known) for tenant in sorted(tenants - {PROBE_TENANT})
        ]
        return self._page("experiments.html", found, lists=lists, tenant="", known=known)

    def tenant(self, request: Request) -> Response:
        """One tenant's experiments, from one on."""
        tenant, after = self._allowed(request), request.query_params.get("after", "")
        headlines, known = self._headlines(tenant, after), self._definitions()
        is_defined = any(owner == tenant for owner, _ in known.definitions)
        # A console of one tenant waits for it; a page that is not the first may be empty.
        if not (self._tenant or after or is_defined) and _is_nothing(known, headlines):
            raise _NowhereError(f"There is no tenant {figures.apart(tenant)} here.")
        lists = [self._list(tenant, headlines, known, after)]
        return self._page("experiments.html", headlines, lists=lists, tenant=tenant, known=known)

    def experiment(self, request: Request) -> Response:
        """One experiment."""
        state = State.of(self._allowed(request), request.query_params)
        if not state.experiment:
            return RedirectResponse(f"/tenants/{state.tenant}")
        known, answers = self._definitions(), self._answers(state)
        definition = definition_of(state, known)
        asked = (answers.results, answers.users, answers.sample_ratio, answers.decisions)
        if definition is None and state.as_of is None and _is_nothing(known, *asked):
            names = f"{figures.apart(state.experiment)} of {figures.apart(state.tenant)}"
            raise _NowhereError(f"There is no experiment {names}.", state.tenant)
        answers = answers._replace(history=self._history(state, chosen_reading(state, answers, definition)))
        page = experiment_page(state, answers, known, self._now())
        return self._page("experiment.html", answers.results, page=page)

    def refused(self, request: Request, error: Exception) -> Response:
        """What is nowhere, said so."""
        if isinstance(error, HTTPException):
            status, words = HTTPStatus(error.status_code), error.detail
            if words == HTTPStatus.NOT_FOUND.phrase:
                words = "There is no such page."
        else:
            status, words = HTTPStatus.BAD_REQUEST, str(error)
        return self._refusal(status, words)

    def nowhere(self, request: Request, error: Exception) -> Response:
        """What nobody has defined, said so; the page refreshes itself, for it may be defined now."""
        assert isinstance(error, _NowhereError)
        return self._refusal(HTTPStatus.NOT_FOUND, str(error), error.tenant, is_live=True)

    def _refusal(
        self, status: HTTPStatus, words: str, tenant: str = "", *, is_live: bool = False
    ) -> Response:
        page = self._templates.get_template("refused.html")
        content = page.render(status=status, words=words, tenant=tenant, is_live=is_live)
        return HTMLResponse(content, status.value)

    def _allowed(self, request: Request) -> str:
        tenant = str(request.path_params["tenant"])
        if not TENANT_ID.fullmatch(tenant) or self._tenant not in ("", tenant):
            raise HTTPException(404, "There is no such tenant here.")
        return tenant

    def _headlines(self, tenant: str, after: str = "") -> Answer:
        return self._source.ask(Query.HEADLINES, tenant=tenant, after=after, most=EXPERIMENTS_SHOWN)

    def _list(self, tenant: str, headlines: Answer, known: Known, after: str = "") -> TenantList:
        return tenant_list(
            tenant,
            headlines,
            self._source.ask(Query.SAMPLE_RATIO, tenant=tenant, experiment=""),
            self._source.ask(Query.DECISIONS, tenant=tenant, experiment="", moment_ms=0),
            self._source.ask(Query.COVERAGE),
            known.definitions,
            self._now(),
            after,
        )

    def _answers(self, state: State) -> Answers:
        place: dict[str, str | int] = {"tenant": state.tenant, "experiment": state.experiment}
        moment: dict[str, str | int] = {"moment_ms": state.moment_ms}
        if state.as_of is None:
            results = self._source.ask(Query.RESULTS, **place, **_look(state))
            ratio = self._source.ask(Query.SAMPLE_RATIO, **place)
            totals = self._source.ask(Query.TOTALS, **place)
            users = self._source.ask(Query.USERS, **place)
            ledger = self._source.ask(Query.LEDGER, tenant=state.tenant)
        else:
            # Of users, their classes and what became of records there is only what is known now.
            results = self._source.ask(Query.RESULTS_AS_OF, **place, **_look(state), **moment)
            ratio = self._source.ask(Query.SAMPLE_RATIO_AS_OF, **place, **moment)
            totals = users = ledger = NEVER_ASKED
        return Answers(
            results=results,
            history=NEVER_ASKED,
            sample_ratio=ratio,
            users=users,
            totals=totals,
            ledger=ledger,
            coverage=self._source.ask(Query.COVERAGE),
            decisions=self._source.ask(Query.DECISIONS, **place, **moment),
        )

    def _history(self, state: State, chosen: Any) -> Answer:
        if chosen is None:
            return NEVER_ASKED
        return self._source.ask(
            Query.HISTORY,
            tenant=state.tenant,
            experiment=state.experiment,
            metric=chosen.metric.metric_id,
            treatment=chosen.treatment,
            moment_ms=state.moment_ms,
            **_look(state),
        )

    def _page(self, template: str, main: Answer, **content: Any) -> Response:
        text = self._templates.get_template(template).render(main=main, now=self._now(), **content)
        is_unread = bool(main.failure) and not main.was_read
        status = HTTPStatus.SERVICE_UNAVAILABLE if is_unread else HTTPStatus.OK
        return HTMLResponse(text, status.value, {"Cache-Control": "no-store"})


def _is_nothing(known: Known, *answers: Answer) -> bool:
    """Whether it is sure that nothing is counted, and that all definitions there are have been read."""
    return known.is_complete and not any(answer.rows or answer.failure for answer in answers)


def _look(state: State) -> dict[str, str | int]:
    return {"view": state.view, "policy": state.policy, "config_version": state.config_version}


class _Headers:
    """Adds to every response what browsers are told about it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *HEADERS.items()]
            await send(message)

        await self._app(scope, receive, send_with_headers)
