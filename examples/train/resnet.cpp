#include "train.hpp"

void train_resnet(const options& wanted, const samples& data) { train<resnet>(wanted, data); }
