#include "train.hpp"

void train_mlp(const options& wanted, const samples& data) { train<mlp>(wanted, data); }
