"""Cuts, trees and strength in whole numbers, without a tolerance: the theory of one operation on a graph."""
