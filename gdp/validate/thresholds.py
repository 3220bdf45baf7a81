"""Every threshold of the checks, with what was observed on honest data, so that a change of one can be judged.

"Pages" are the ten real pages of 26 September 2018 to 25 February 2026, "releases" the thirteen whole releases of the
World Economic Outlook of April 2019 to October 2025, compared in pairs of every distance up to three years, in both
directions. Changes are natural logarithms of ratios: 0.1 is about 10 %. Figures are in millions of US dollars.
"""

from __future__ import annotations

import math

UNSETTLED = "contradicts another vintage"  # nothing shows yet which of the two is wrong
ALL_MOVED, MANY_MOVED, MANY_DEPART = "all figures moved", "many figures moved", "many figures depart from the IMF's own"
IN_DOUBT = (UNSETTLED, ALL_MOVED, MANY_MOVED, MANY_DEPART)  # findings after which a vintage is no baseline

MIN_PAIRS = 20  # figures that are compared; with fewer, a median or a spread means nothing

# --- one institution's list by itself ---------------------------------------------------------------------------------

# How many countries an institution has. Pages: IMF 190 to 195, World Bank 186 to 214, UN 208 to 213. The IMF's lists of
# 2005 had about 175. An institution that is not named here is not counted.
COUNTRIES = {
    "IMF": (180, 205),
    "World Bank": (170, 225),
    "UN": (185, 230),
    "CIA": (185, 245),
}
COUNTRIES_BEFORE_2010 = {"IMF": (165, 205)}
# Each was among the twenty largest on every page since 2005.
LARGE_ECONOMIES = {
    "USA": "United States", "CHN": "China", "JPN": "Japan", "DEU": "Germany", "GBR": "United Kingdom", "FRA": "France",
    "IND": "India", "ITA": "Italy", "BRA": "Brazil", "CAN": "Canada", "RUS": "Russia", "KOR": "South Korea",
    "ESP": "Spain", "AUS": "Australia", "MEX": "Mexico",
}  # fmt: skip
MAX_LARGE_MISSING = 4  # fatal above; pages: none, though a page of 2025 had some of the IMF's cells blank for a while
# Territories in the World Bank's or the UN's list, and in no outlook of the IMF's. Pages: none under the IMF's heading,
# 4 to 18 under the World Bank's since 2021, 12 to 16 under the UN's.
OUTSIDE_THE_OUTLOOK = frozenset({
    "AIA", "ASM", "BMU", "CHI", "COK", "CUB", "CUW", "CYM", "EAZ", "FRO", "GRL", "GUM",
    "IMN", "MAF", "MCO", "MNP", "MSR", "NCL", "PRK", "PYF", "SXM", "TCA", "VGB", "VIR",
})  # fmt: skip
MAX_OUTSIDE = 5  # fatal above
# The median of the large economies as a share of the world's GDP. Pages and releases: 0.020 to 0.025 of a world that is
# estimated so; one cell does not move it.
LARGE_SHARE = 0.022
WORLD_2025_MILLION_USD, WORLD_GROWTH = 117_000_000, 1.045  # gives 49 trillion for 2005, 76 for 2015; they were 48, 75
MAX_SCALE = 2.5  # a list further off than this factor is in another unit
MAX_SAME_SHARE = 0.05  # of one figure among all; pages: 2 of 194
MAX_TWICE_SHARE = 0.05  # of the countries, with two figures for a year; pages: none
AT_LEAST = 3  # so many countries are never too many for one of the two shares above
# Years before As_of. Pages: 3 under the IMF's heading, but for Syria (2010 on a page of 2021); under others 15 (2011 on
# a page of 2026).
OLDEST_YEARS, OLDEST_YEARS_IMF = 16, 4
NEWEST_YEARS = 0  # years after As_of; pages: none in a column that has a source
# Pages: 0.92 and more; 0.90 for the World Bank's in February 2026; 0.67 in January 2025, when some countries had moved
# to the new year.
MAIN_YEAR_SHARE = 0.9

# --- the whole list against another vintage, a release or another institution -----------------------------------------

GROWTH = 0.06  # from one year's figure to the next; releases: 0.059 in the median, 0.05 to 0.07 but for 2020 and 2021
# Of figures that equal another list's. Pages: 6 of 201 equal another institution's, 45 of 214 equal the IMF's release
# for some year.
IDENTICAL_SHARE = 0.5
# Of the IMF's countries, fatal above. Pages: at most 4 of 195. The World Bank's list went by 23 of 209.
MAX_GONE_SHARE = 0.08
RELEASE_REACH_DAYS = 1_120  # a release is compared with pages of three years around it: so far the bounds were observed
NEAR_DAYS = 245  # eight months: the next release, or the page before
# The median country's change. Releases: 0.045 at most within eight months, 0.129 at most beyond (October 2019 to
# October 2020, over the pandemic).
MEDIAN_MOVED_NEAR, MEDIAN_MOVED_FAR, MEDIAN_IMPOSSIBLE = 0.09, 0.15, 0.25
# The median distance of a country's change from the median change. Releases: 0.055 within eight months, 0.116 beyond;
# pages against releases: 0.101 (the UN's figures for 2016). With 60 % of a column 20 % off it is 0.138.
SPREAD_IMPOSSIBLE = 0.13
# The share of countries whose change is more than 0.3 from the median change. Releases: 0.131; pages: 0.17 (the UN).
WILD, WILD_SHARE_IMPOSSIBLE = 0.3, 0.25
# The share of countries that moved more than 2.5 times their usual step, within eight months. Releases: 0.09 (0.04 with
# the steps in question). With 20 % of the countries 20 % off it is 0.13 to 0.23.
UNUSUAL_STEPS, UNUSUAL_SHARE = 2.5, 0.11
# A column one row off fits better moved back. The mean distance, moved by a row, over the mean distance as it is:
# releases 1.05 at least, pages 1.12; of a column one row off 0.95 at most.
ROW_OFF_RATIO = 0.98
WELL_BELOW_A_ROW = 0.02  # the mean distance of a column that is one row off is 0.045 at least: below, nothing is moved
# A list with a lower score has the figures of the year before. Such a figure is apart from that of its year by the
# country's growth. The score adds two numbers: the slope of the changes by growth, and the median change divided by the
# median growth. Each is about 0 for right figures, and about -1 for figures of the year before. Observed within eight
# months: a release against the one before has -0.62 or more, with figures of the year before -1.28 or less. Against the
# one after it has -1.18 or more, with figures of the year before -1.02 or less: some of these are missed. The IMF's and
# the World Bank's columns of pages have -0.7 or more against the nearest release, with figures of the year before -1.6
# or less. The UN's column of June 2021 has -1.95: the UN is not judged by this.
YEARS_MOVED = -1.2
LEAST_GROWTH_SPREAD = 0.01  # where all countries grow alike, a slope by growth is chance; the IMF's: 0.028 and more
YEARS_MOVED_INSTITUTIONS = ("IMF", "World Bank")
CHANGE_CAP = 0.15  # larger changes and growths count as this, so that no country decides
SHORTEST_GROWTH = 0.01  # of the median country, by which years can be distinguished
# Another country's figures: pages have at most 2 of 195 that equal another's to four digits.
ANOTHERS_SHARE = 0.25

# The countries' sum against the World row. Pages: 0.981 to 1.042 where that row was right; it goes stale, and was
# mistyped (0.10).
WORLD_RATIO = (0.97, 1.05)
# Fatal with so many countries if another list confirms it. Pages: the UN's World row of 2026 is 10 % off, unconfirmed.
WORLD_OFF, WORLD_COUNTRIES = math.log(1.08), 180

# --- single figures ---------------------------------------------------------------------------------------------------

# Of an institution's figures, by what is usual. Scores above BEYOND_SCORE, signs of an edit by hand and departures from
# the IMF's own figures have no such limit.
MOST_FLAGGED = 6
MOST_SHOWN = 6  # figures of a vintage on a screen; the log, Checks.json and load.py --findings have all
MOVED = 0.005  # between pages with no release between. Pages: none honest, late updates aside
SINGLE_EDITS_SHARE = 1 / 7  # more figures than this moved: an update. Pages: edits of 1 in 208 and 13 in 190
ROUNDING_MILLION_USD = 1.0  # pages round to millions, and cut instead of rounding here and there
MISCOPIED_MILLION_USD = 2.0  # of a large figure; pages: 2,089,672 for 2,089,674
ROUNDING_SHARE = 0.0005  # pages round to tens or thousands now and then: 15,770 for 15,774, 13,000 for 12,995
ROUNDED_BILLION_USD = 5.5  # in millions: where two decimals of a billion are known
# A figure's change, less that of its currency bloc, over the square root of the country's usual step. The sixth highest
# of a step of six months: 0.53 to 1.66; where only the year moves on: 0.27 to 0.45.
LEAST_SCORE, LEAST_SCORE_OTHERS = 0.45, 4.0
# Flags without a limit. Releases: 6.0 at most within eight months (Eritrea, 2019); ten times a figure is 9.4.
BEYOND_SCORE = 7.0
# The usual step of a country with no history, and how many steps it counts for in that of the others.
USUAL_STEP, USUAL_STEP_WEIGHT = 0.06, 2
MIN_BLOC = 10  # countries of a bloc with a change, for a median of its own
# Hand edits: the difference to the figure before is a whole number of billions to the last digit. Nine of thirteen
# figures altered in January 2025; three of 7,859 honest revisions.
WHOLE_BILLION = 1_000
LEAST_DIGITS = 1_000  # a figure of fewer than four digits equals another country's by chance

# --- the IMF's own releases -------------------------------------------------------------------------------------------

# A page follows a release if so many of its figures are those of the last two. Pages: 0.54 and more by one of the two;
# with other releases 0.03 to 0.06.
SAME_RELEASE_SHARE = 0.25
MAX_DEPARTING_SHARE = 0.15  # more figures depart: one finding. Pages: 17 of 194 where 13 were altered, else 6
NEIGHBOURING_YEARS = 3  # in which another year's figure is looked for
YEARS_BEFORE, YEARS_AFTER = 10, 2  # of a release, that are compared; pages have figures of up to 3 years before
STALE_DAYS = 21  # after a release; pages had the new figures within two weeks, but for small countries

# --- the IMF's figure against the other institutions' -----------------------------------------------------------------

# Distances from the usual ratio in robust standard deviations (those are 0.04 to 0.10). Both must be off to the same
# side, one of them far; a lone witness must be sure. Pages: 3 to 5 countries, each a real oddity (hyperinflation, war,
# a rebased series).
BOTH_OFF, ONE_FAR_OFF, LONE_WITNESS = 2.5, 5.0, 3.5
MAD_TO_SIGMA = 1.4826  # for a normal distribution
SLIPS = (10, 1000)  # factors by which a unit slips
SLIP_WIDTH = 0.4  # how near to such a factor, as a logarithm: 10 is 6.7 to 14.9
COLUMNS_APART = math.log(2)  # the median country's ratio to another institution's figure, fatal above; pages: 0.08
