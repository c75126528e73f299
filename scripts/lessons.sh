#!/usr/bin/env bash
# scripts/lessons.sh [LESSON]: does every lesson, or one, with the real engine, first in a wrong way and then in the
# right one, and prints what its runs came to. About twenty minutes on two cores.
set -eu
cd "$(dirname "$0")/.."
SALUN_LESSON=${1:-} cargo test --release --test suite -- --ignored --exact --nocapture \
  studio_engine::the_lessons_are_passed_with_the_real_engine_and_wrong_ways_are_not_accepted
