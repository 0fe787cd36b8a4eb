// expect: a text that no compiler prints
int main() { return "one"; }
