"""The pool of earlier generated images."""

from __future__ import annotations

import io

import pytest
import torch
from torch import Generator, Tensor
from unread import Unread

from nferbench_methods.gan.pool import ImagePool


def numbered(*numbers: int) -> Tensor:
    """One-pixel images that can be told apart: (B, 1, 1, 1)."""
    return torch.tensor(numbers, dtype=torch.float32).reshape(-1, 1, 1, 1)


def numbers(images: Tensor | list[Tensor]) -> list[int]:
    return [int(image) for image in images]


def held(pool: ImagePool) -> list[int]:
    return numbers(pool.state_dict()["images"])


def full(capacity: int) -> ImagePool:
    """A pool that holds the images 0 to capacity - 1."""
    pool = ImagePool(capacity)
    pool.exchange(numbered(*range(capacity)), Generator())
    return pool


def test_a_pool_without_capacity_hands_out_what_comes():
    pool, rng = ImagePool(0), Generator()
    for i in range(20):
        assert numbers(pool.exchange(numbered(i, -i), rng)) == [i, -i]
    assert len(pool) == 0


def test_a_pool_that_is_not_full_stores_each_image_and_answers_with_it():
    pool, rng = ImagePool(50), Generator()
    for i in range(50):
        assert numbers(pool.exchange(numbered(i), rng)) == [i]
        assert held(pool) == list(range(i + 1))


def test_a_full_pool_answers_with_the_image_or_puts_it_where_the_answer_was():
    pool, rng = full(50), Generator().manual_seed(0)
    exchanged = 0
    for i in range(50, 350):
        before = held(pool)
        answer = int(pool.exchange(numbered(i), rng))
        if answer == i:
            assert held(pool) == before
        else:
            before[before.index(answer)] = i
            assert held(pool) == before
            exchanged += 1
    assert 0 < exchanged < 300


def test_about_half_of_the_answers_are_old_and_all_places_are_drawn_alike():
    pool, rng = full(5), Generator().manual_seed(1)
    new, places = 0, [0] * 5
    for i in range(5, 4005):
        before = held(pool)
        answer = int(pool.exchange(numbered(i), rng))
        if answer == i:
            new += 1
        else:
            places[before.index(answer)] += 1
    assert new / 4000 == pytest.approx(0.5, abs=0.03)
    assert all(place / (4000 - new) == pytest.approx(1 / 5, abs=0.03) for place in places)


def test_images_of_a_batch_are_decided_one_by_one_in_their_order():
    pool = full(1)
    answers = numbers(pool.exchange(numbered(*range(1, 33)), Generator().manual_seed(2)))
    stored = 0  # the only place: an exchange hands out whatever was put there last
    for i, answer in enumerate(answers, start=1):
        assert answer in (i, stored)
        stored = i if answer != i else stored
    assert held(pool) == [stored]
    assert 4 < sum(answer != i for i, answer in enumerate(answers, start=1)) < 28


def test_a_batch_that_fills_the_pool_goes_on_as_a_full_one_would():
    pool = ImagePool(3)
    answers = numbers(pool.exchange(numbered(*range(40)), Generator().manual_seed(3)))
    assert answers[:3] == [0, 1, 2]
    assert answers != list(range(40))
    assert len(pool) == 3


def test_neither_answers_nor_stored_images_carry_a_graph():
    rng = Generator().manual_seed(0)
    for pool in (ImagePool(0), ImagePool(2)):
        for _ in range(10):
            image = (2 * torch.ones(1, 1, 1, 1, requires_grad=True)).exp()
            answer = pool.exchange(image, rng)
            assert not answer.requires_grad
        assert not any(image.requires_grad for image in pool.state_dict()["images"])


def test_stored_images_are_copies_of_one_image_each():
    for pool, exchanged in ((ImagePool(2), False), (full(2), True)):
        images = numbered(*range(10, 12 + 38 * exchanged))
        pool.exchange(images, Generator().manual_seed(0))
        before = held(pool)
        assert min(before) >= 10
        images.fill_(-1)
        assert held(pool) == before
        assert [image.untyped_storage().nbytes() for image in pool.state_dict()["images"]] == [4, 4]


def test_equal_seeds_exchange_alike_and_other_seeds_otherwise():
    def answers(seed: int) -> list[int]:
        return numbers(full(4).exchange(numbered(*range(4, 40)), Generator().manual_seed(seed)))

    assert answers(5) == answers(5) != answers(6)


def test_how_much_is_drawn_does_not_depend_on_what_is_stored():
    states = []
    for pool in (ImagePool(7), full(7)):
        rng = Generator().manual_seed(0)
        pool.exchange(numbered(1, 2, 3), rng)
        states.append(rng.get_state())
    assert torch.equal(*states)


def test_a_pool_goes_on_from_its_stored_state():
    pool = full(3)
    file = io.BytesIO()
    torch.save(pool.state_dict(), file)
    file.seek(0)
    other = ImagePool(3)
    other.exchange(numbered(-1, -2), Generator())
    other.load_state_dict(torch.load(file, weights_only=True))
    assert held(other) == [0, 1, 2]
    more = numbered(*range(3, 30))
    assert numbers(pool.exchange(more, Generator().manual_seed(8))) == numbers(
        other.exchange(more, Generator().manual_seed(8))
    )
    assert held(pool) == held(other)


def test_a_state_stays_as_it_was_when_the_pool_moves_on():
    pool = full(2)
    state = pool.state_dict()
    pool.exchange(numbered(*range(2, 30)), Generator().manual_seed(0))
    assert numbers(state["images"]) == [0, 1]
    assert set(held(pool)).isdisjoint({0, 1})


def test_decisions_are_those_of_a_list_of_images_one_after_the_other():
    pool, kept, rng = ImagePool(3), [], Generator()
    for k, count in enumerate((1, 4, 5, 32)):
        given = numbered(*range(100 * k, 100 * k + count))
        rng.manual_seed(k)
        old, places = torch.rand(count, generator=rng) < 0.5, torch.randint(3, (count,), generator=rng)
        answers = []
        for image, exchanged, place in zip(numbers(given), old.tolist(), places.tolist(), strict=True):
            answers.append(image)
            if len(kept) < 3:
                kept.append(image)
            elif exchanged:
                answers[-1], kept[place] = kept[place], image
        assert numbers(pool.exchange(given, rng.manual_seed(k))) == answers
        assert held(pool) == kept


def test_no_decision_is_read_back():
    pool, images, rng = full(3), numbered(*range(8)), Generator()
    with Unread():
        pool.exchange(images, rng)


def test_a_state_that_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="3 images for a pool of 2"):
        ImagePool(2).load_state_dict(full(3).state_dict())


def test_a_pool_can_be_emptied_by_a_state():
    pool = full(3)
    pool.load_state_dict(ImagePool(3).state_dict())
    assert len(pool) == 0 and held(pool) == []
