// Whether two explanations of a clip say the same, but for rounding.
#pragma once

#include <algorithm>
#include <cmath>
#include <vector>

#include <gtest/gtest.h>

#include "stages/core/pyramid.h"

namespace cfp::test {

inline void expect_near(const std::vector<float>& a, const std::vector<float>& b,
                        double tolerance) {
  ASSERT_EQ(a.size(), b.size());
  double unit = 0;
  for (const float value : b) unit = std::max(unit, std::abs(static_cast<double>(value)));
  for (std::size_t i = 0; i < a.size(); ++i) ASSERT_NEAR(a[i], b[i], tolerance * unit) << i;
}

inline void expect_same(const ChannelRelevance& a, const ChannelRelevance& b, double tolerance) {
  expect_near(a.positive, b.positive, tolerance);
  expect_near(a.negative, b.negative, tolerance);
  expect_near(a.score, b.score, tolerance);
  EXPECT_EQ(a.found, b.found);
  EXPECT_EQ(a.reached, b.reached);
}

inline void expect_same(const Pyramid& a, const Pyramid& b, double tolerance) {
  EXPECT_EQ(a.target.class_index, b.target.class_index);
  EXPECT_NEAR(a.target.value, b.target.value, tolerance * std::abs(b.target.value));
  ASSERT_EQ(a.layers.size(), b.layers.size());
  for (std::size_t l = 0; l < a.layers.size(); ++l) {
    SCOPED_TRACE(a.layers[l].name);
    expect_same(a.layers[l].kernels, b.layers[l].kernels, tolerance);
    expect_same(a.layers[l].channels, b.layers[l].channels, tolerance);
    expect_near(a.layers[l].tube.values, b.layers[l].tube.values, tolerance);
    ASSERT_EQ(a.layers[l].edges.size(), b.layers[l].edges.size());
    for (std::size_t e = 0; e < a.layers[l].edges.size(); ++e) {
      const Edge &x = a.layers[l].edges[e], &y = b.layers[l].edges[e];
      EXPECT_EQ(x.kernel, y.kernel);
      EXPECT_EQ(x.channel, y.channel);
      EXPECT_NEAR(x.score, y.score, tolerance * std::max(1e-3F, std::abs(y.score)));
    }
  }
  ASSERT_EQ(a.additions.size(), b.additions.size());
  for (std::size_t i = 0; i < a.additions.size(); ++i) {
    expect_same(a.additions[i].sum, b.additions[i].sum, tolerance);
    expect_same(a.additions[i].addends[1], b.additions[i].addends[1], tolerance);
  }
}

}  // namespace cfp::test
