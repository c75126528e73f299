#!/usr/bin/env bash
# Trains the shipped models again, as their cards say: hours on a CPU, minutes on a GPU.
#   scripts/train-shipped.sh OUT-FOLDER
# The classifiers are trained in two stages: with shifts and flips, then with flips alone.
set -euo pipefail
out=${1:?a folder for the weights is needed}
mkdir -p "$out/first"
salun() { cargo run --release --quiet -- "$@" --half; }

classifier() { # NAME [--retain FORGET]
  local name=$1
  shift
  salun train fashion-classifier --data fashion-mnist "$@" --seed 1 --out "$out/first/$name.safetensors"
  salun train fashion-classifier --data fashion-mnist "$@" --seed 2 --augment flip --epochs 4 \
    --lr 0.05 --from "$out/first/$name.safetensors" --out "$out/$name.safetensors"
}

classifier fashion-classifier
classifier fashion-classifier-retrain-sneaker --retain class:Sneaker
salun train fashion-ddpm --data fashion-mnist --seed 1 --out "$out/fashion-ddpm.safetensors"
salun train fashion-ddpm --data fashion-mnist --retain class:Sneaker --seed 1 \
  --out "$out/fashion-ddpm-retrain-sneaker.safetensors"
salun data fetch cifar10
salun train cifar-classifier --data cifar10 --width 16 --epochs 24 --batch 128 --seed 1 \
  --out "$out/cifar-classifier.safetensors"
# Settings beside the presets' own; the judge goes into the model's folder.
salun train text-to-image --data emoji --concepts 64 --autoencoder-steps 700 --steps 4500 \
  --decoder-steps 2500 --out "$out/emoji-t2i"
salun train emoji-judge --data emoji --steps 3000 --out "$out/judge.safetensors"
cp "$out/judge.safetensors" "$out/judge.json" "$out/emoji-t2i/"
