int main() { return "one"; }
