"""The report as JUnit XML, which CI systems read: a suite for each family, a test case for each rule.

A finding is a failure, a mistake of the check an error. A rule that is broken without failing the run passes, and its
problems are in `system-out`; one that does not apply is skipped.
"""

from __future__ import annotations

import re
from xml.etree import ElementTree as Xml

from poeproto_check.checker import CheckReport
from poeproto_check.reports.evidence import reproduction
from poeproto_check.reports.text import shown_message
from poeproto_check.result import Result, Verdict

__all__ = ["as_junit"]

# Characters that XML 1.0 cannot contain, not even escaped.
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def as_junit(report: CheckReport) -> str:
    """The report as an XML document."""
    root = Xml.Element("testsuites", name="poeproto check", time=f"{report.seconds:.3f}")
    for family in dict.fromkeys(result.rule.family for result in report.results):
        _suite(root, family, [result for result in report.results if result.rule.family == family], report)
    if report.stale:
        _stale(root, report)
    for name in ("tests", "failures", "errors", "skipped"):
        root.set(name, str(sum(int(suite.get(name, "0")) for suite in root)))
    Xml.indent(root)
    return Xml.tostring(root, encoding="us-ascii", xml_declaration=False).decode()


def _suite(root: Xml.Element, family: str, results: list[Result], report: CheckReport) -> None:
    suite = Xml.SubElement(root, "testsuite", name=family)
    for result in results:
        case = Xml.SubElement(suite, "testcase", classname=f"poeproto.{family}", name=result.rule.id)
        details = "\n".join(_details(result, report))
        if result.verdict is Verdict.HARNESS_ERROR:
            Xml.SubElement(case, "error", message=_first(result, report), type=result.verdict.value).text = details
        elif result.is_finding(report.strict):
            Xml.SubElement(case, "failure", message=_first(result, report), type=result.verdict.value).text = details
        elif result.verdict is Verdict.NOT_APPLICABLE:
            Xml.SubElement(case, "skipped", message=_xml(shown_message(result.reason, report)))
        elif details:
            Xml.SubElement(case, "system-out").text = f"{result.verdict.value}\n{details}"
    _count(suite)


def _stale(root: Xml.Element, report: CheckReport) -> None:
    suite = Xml.SubElement(root, "testsuite", name="baseline")
    for rule in report.stale:
        case = Xml.SubElement(suite, "testcase", classname="poeproto.baseline", name=rule)
        message = "the rule is in the baseline, but the server keeps it now; remove the line"
        Xml.SubElement(case, "failure", message=message, type="stale")
    _count(suite)


def _count(suite: Xml.Element) -> None:
    suite.set("tests", str(len(suite)))
    for name, element in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        suite.set(name, str(len(suite.findall(f"testcase/{element}"))))


def _first(result: Result, report: CheckReport) -> str:
    message = result.problems[0].message if result.problems else result.reason
    return _xml(shown_message(message, report))


def _details(result: Result, report: CheckReport) -> list[str]:
    lines = [shown_message(problem.message, report) for problem in result.problems]
    if (exchange := result.exchange) is not None:
        lines.append(f"reproduce: {reproduction(exchange, report.address, report.redaction)}")
    if lines:
        lines += [f"rule: {result.rule.text}", f"fix: {result.rule.fix}"]
    return [_xml(line) for line in lines]


def _xml(text: str) -> str:
    return _NOT_XML.sub("?", text)
