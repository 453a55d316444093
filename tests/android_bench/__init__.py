"""Tests of android_bench."""
