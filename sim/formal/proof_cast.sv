// Formal only: hwflow_cast equals what the ap_fixed manual says of its modes (AMD UG1399, "Quantization Modes" and
// "Overflow Modes"), for every code: the value is a fraction over a power of two, rounded as an integer division with
// a rest, then wrapped or clipped.

`default_nettype none

module proof_cast #(
    parameter int IN_W       = 12,
    parameter int IN_FRAC    = 6,
    parameter int IN_SIGNED  = 1,
    parameter int OUT_W      = 8,
    parameter int OUT_FRAC   = 3,
    parameter int OUT_SIGNED = 1
) (
    input wire            clk_i,
    input wire [IN_W-1:0] code_i
);

    localparam int WIDE = 64;
    localparam int DROP = (IN_FRAC > OUT_FRAC) ? IN_FRAC - OUT_FRAC : 0;
    localparam int GROW = (OUT_FRAC > IN_FRAC) ? OUT_FRAC - IN_FRAC : 0;

    wire signed [WIDE-1:0] value = (IN_SIGNED != 0) ? WIDE'($signed(code_i)) : $signed(WIDE'(code_i));
    wire signed [WIDE-1:0] scaled = value <<< GROW;
    wire signed [WIDE-1:0] unit = WIDE'(1) <<< DROP;
    wire signed [WIDE-1:0] floored = scaled >>> DROP;
    wire signed [WIDE-1:0] twice_rest = (scaled - (floored <<< DROP)) <<< 1;

    wire signed [WIDE-1:0] high = (WIDE'(1) <<< (OUT_W - OUT_SIGNED)) - 1;
    wire signed [WIDE-1:0] low = (OUT_SIGNED != 0) ? -high - 1 : '0;

    for (genvar rounding = 0; rounding < 7; rounding++) begin : gen_rounding
        logic up;
        always_comb begin
            case (rounding)
                0: up = 1'b0;                                                            // towards minus infinity
                1: up = value < 0 && twice_rest != 0;                                    // towards zero
                2: up = twice_rest >= unit;                                              // nearest, ties to plus infinity
                3: up = twice_rest > unit || (twice_rest == unit && value < 0);          // ties to zero
                4: up = twice_rest > unit || (twice_rest == unit && value >= 0);         // ties away from zero
                5: up = twice_rest > unit;                                               // ties to minus infinity
                default: up = twice_rest > unit || (twice_rest == unit && floored[0]);   // ties to even
            endcase
        end
        wire signed [WIDE-1:0] rounded = floored + ((DROP > 0 && up) ? 1 : 0);

        for (genvar overflow = 0; overflow < 3; overflow++) begin : gen_overflow
            wire signed [WIDE-1:0] bottom = (overflow == 2 && OUT_SIGNED != 0) ? -high : low;
            wire signed [WIDE-1:0] clipped =
                (overflow == 0) ? rounded : (rounded > high) ? high : (rounded < bottom) ? bottom : rounded;
            wire [OUT_W-1:0] code;

            hwflow_cast #(
                .IN_W(IN_W), .IN_FRAC(IN_FRAC), .IN_SIGNED(IN_SIGNED),
                .OUT_W(OUT_W), .OUT_FRAC(OUT_FRAC), .OUT_SIGNED(OUT_SIGNED),
                .ROUNDING(rounding), .OVERFLOW(overflow)
            ) cell_under_proof (
                .code_i(code_i),
                .code_o(code)
            );

            always_comb assert (code == OUT_W'(clipped));
        end
    end

endmodule

`default_nettype wire
