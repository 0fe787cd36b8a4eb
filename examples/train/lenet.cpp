#include "train.hpp"

void train_lenet(const options& wanted, const samples& data) { train<lenet>(wanted, data); }
