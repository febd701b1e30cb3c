"""The pictures at the head of the site, and the page of what is written and not so."""

import re
from types import SimpleNamespace

from made_up import accuracy, claim, fill

from normlab.claims.claim import Arm
from normlab.claims.registry import load_claim
from normlab.claims.verdicts import verdicts
from normlab.report.build import built
from normlab.report.not_so import not_so, not_so_page
from normlab.report.story import TOPICS


def first_page(folder, *claims):
    return built(folder, claims=claims)[folder / "report" / "index.html"]


def test_every_topic_is_a_claim_whose_trials_can_be_drawn():
    for topic in TOPICS:
        one = load_claim(topic.slug)
        assert topic.figure or one.figure, topic.slug
        assert all(any(name in arm.at for arm in one.arms) for name in topic.only)


def test_the_page_begins_with_the_pictures_that_are_recorded(tmp_path):
    recorded, other = load_claim("bn-batch-below-16"), load_claim("rmsnorm-7-64-faster")
    assert 'class="story"' not in first_page(tmp_path, recorded, other)
    store = fill(tmp_path, recorded, lambda job, noise: accuracy(0.5 + 0.01 * noise))
    page = first_page(tmp_path, recorded, other)
    story = page[page.index('class="story"') : page.index('id="verdicts"')]
    (row,) = verdicts([recorded], store)
    assert row.answer in story and story.count('class="plot"') == 1
    assert "(<code>normlab run rmsnorm-7-64-faster --profile quick</code>)." in story
    # What is read first stands first.
    assert page.index('class="story"') < page.index('<form id="choose"')


def test_the_picture_of_depth_draws_one_initial_scale(tmp_path):
    one = load_claim("postln-warmup-ok")

    def measure(job, noise):
        # Between the two lines that it must not draw, and those that it must.
        loss = 2.0 if "gpt2" in job.arm else 3.0
        return accuracy(0.5, test_loss=loss, val_loss=loss)

    fill(tmp_path, one, measure)
    page = first_page(tmp_path, one)
    titles = re.findall(r"<title>([^<]*, seed \d+: [^<]*)</title>", page)
    arms = {title.split(", seed")[0] for title in titles}
    expected = {arm.name for arm in one.arms if arm.at["init"] == "gpt2"}
    assert arms == expected and len(expected) == 4
    assert all(": 2" in title for title in titles)


def card(slug, verdict, n=5, documents=("A",), stale=False, stands_for=""):
    made = claim(slug, documents=documents, arms=(Arm("new", ("norm=frn",)), Arm("old")))
    return SimpleNamespace(
        claim=made, verdict=verdict, answer=f"Not {slug} | so.", stale=stale, n=n, history=[],
        profile="quick", file=f"topic/{slug}.py",
        clauses=[
            SimpleNamespace(decides=True, stands_for=stands_for),
            SimpleNamespace(decides=False, stands_for="no such thing"),
        ],
    )  # fmt: skip


def test_what_is_not_so_is_refuted_and_of_this_code_and_what_most_say_comes_first():
    cards = [
        card("once", "refuted", n=20),
        card("thrice", "refuted", documents=("A", "B", "C")),
        card("once-more", "refuted", n=5),
        card("right", "supported", n=20),
        card("open", "inconclusive", n=20),
        card("old", "refuted", n=20, documents=("A", "B"), stale=True),
    ]
    assert [one.claim.slug for one in not_so(cards)] == ["thrice", "once", "once-more"]
    many = [card(f"claim-{place:02}", "refuted") for place in range(12)]
    assert [one.claim.slug for one in not_so(many)] == [f"claim-{place:02}" for place in range(10)]


def test_the_page_of_what_is_not_so_says_who_says_it_and_how_it_was_measured():
    page = not_so_page([card("one", "refuted", documents=("A", "B"), stands_for="BERT")])
    assert "Of 1 claims 1 are refuted and 0 supported; here are 1 of the refuted." in page
    assert "## 1. “New is better than old.”" in page and "Said in: A; B." in page
    assert "Not one \\| so. What was tried stands for BERT." in page
    assert "n = 5, quick profile" in page and "(../experiments/topic/one.py)" in page
    assert "no such thing" not in page
