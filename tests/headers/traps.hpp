// Macros that C headers, operating systems and users' programs define. Each turns into something that no compiler takes.
#pragma once

// <windows.h>, used by programs without NOMINMAX
#define min(left, right) 1 trap
#define max(left, right) 1 trap
#define small 1 trap
#define near 1 trap
#define far 1 trap
#define IN 1 trap
#define OUT 1 trap
// <termios.h>, <sys/sysmacros.h>, gnu++20, Arduino
#undef B0
#define B0 1 trap
#define B1 1 trap
#undef major
#define major(device) 1 trap
#undef minor
#define minor(device) 1 trap
#undef linux
#define linux 1 trap
#undef unix
#define unix 1 trap
// <complex.h> has I; mathematicians have the others
#undef I
#define A 1 trap
#define B 1 trap
#define C 1 trap
#define D 1 trap
#define E 1 trap
#define F 1 trap
#define G 1 trap
#define H 1 trap
#define I 1 trap
#define J 1 trap
#define K 1 trap
#define L 1 trap
#define M 1 trap
#define N 1 trap
#define O 1 trap
#define P 1 trap
#define Q 1 trap
#define R 1 trap
#define S 1 trap
#define T 1 trap
#define U 1 trap
#define V 1 trap
#define W 1 trap
#define X 1 trap
#define Y 1 trap
#define Z 1 trap
